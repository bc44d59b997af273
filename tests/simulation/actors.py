"""Everybody but the operators, for as long as a history is disturbed: who acts when is drawn from the seed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.simulation.contracts import Contracts
from tests.simulation.landlords import Landlords
from tests.simulation.tenants import Tenants
from tests.simulation.troubles import Troubles
from tests.simulation.world import World

Act = Callable[[], Awaitable[None]]


class Actors:
    """Starts them, and ends them when faults end."""

    def __init__(self, world: World) -> None:
        self._world = world
        tenants, self._landlords, self._troubles = Tenants(world), Landlords(world), Troubles(world)
        self._tenants = tenants
        self._acts: dict[str, Act] = {
            "tenants": tenants.act,
            "workloads": tenants.work,
            "landlords": self._landlords.act,
            "contracts": Contracts(world).act,
            "swaps": self._landlords.swap,
            "crashes": self._troubles.crash,
            "pauses": self._troubles.pause,
            "partitions": self._troubles.partition,
            "clogs": self._troubles.clog,
            "clocks": self._troubles.jump,
            "server clocks": self._troubles.jump_server,
            "ledger": self._troubles.lose_ledger,
            "compactions": self._troubles.compact,
            "rewinds": self._troubles.rewind,
            "hub rewinds": self._troubles.rewind_hub,
        }
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self) -> None:
        """Begin to act and to disturb."""
        world = self._world
        for _ in range(world.plan.claims):
            self._tenants.create()
        self._troubles.begin()
        for name in world.plan.actors:
            self._tasks.append(asyncio.create_task(self._act(self._acts[name])))

    async def calm(self) -> None:
        """End everything that disturbs; what is broken for good stays so."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
                raise result
        self._troubles.end()
        self._landlords.mend()
        self._world.note("calm")

    async def _act(self, act: Act) -> None:
        world = self._world
        mean = world.plan.seconds / world.plan.steps
        for _ in range(world.plan.steps):
            await asyncio.sleep(world.rng.uniform(0.0, 2.0 * mean))
            await act()
