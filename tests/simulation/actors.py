"""Everybody but the operators: tenants, their workloads, landlords, and what goes wrong."""

import asyncio
from typing import Any

from tests.builders.api import claim
from tests.simulation.world import TENANTS, World

CLAIMS = "/apis/sublet.dev/v1alpha1/namespaces/{}/gpuclaims"


class Actors:
    """Starts them, and ends them when faults end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self) -> None:
        """Begin."""
        for i in range(self._world.plan.claims):
            self._world.admin(self._world.hub, "POST", CLAIMS.format("acme"), claim(f"c{i}"))

    async def calm(self) -> None:
        """End everything that disturbs."""
