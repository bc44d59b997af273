"""The invariant checker on running planes, read with their admins' rights: no other plane's or process's word is taken."""

import asyncio
from contextlib import AsyncExitStack

from sublet.api.ids import LeaseUID
from sublet.api.kinds import LEASES
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.store.sql import SqlLedger
from sublet.verify.find import find_violations
from sublet.verify.reader import read_world
from sublet.verify.world import World
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for


def violations(stack: Stack, database: str | None, *, settled: bool) -> list[str]:
    """Return what doesn't hold now, and what couldn't be read, one line each."""
    world = asyncio.run(_read(stack, database))
    unknown = [f"unknown {u.subject}: {u.message}" for u in world.unknown]
    return [*map(str, find_violations(world, settled=settled)), *unknown]


def is_sound(stack: Stack, database: str | None) -> None:
    """Fail at once if what must hold after every write doesn't, and soon if it doesn't come to rest soundly."""
    assert violations(stack, database, settled=False) == []
    found: list[str] = []

    def at_rest() -> bool:
        found[:] = violations(stack, database, settled=True)
        return not found

    try:
        wait_for("no violation at rest", at_rest)
    except AssertionError as error:
        raise AssertionError("\n".join(found)) from error


async def _read(stack: Stack, database: str | None) -> World:
    async with AsyncExitStack() as everything:
        hub = await everything.enter_async_context(await _admin(stack, "hub"))
        clusters: dict[LeaseUID, ApiServer] = {}
        for lease in (await hub.get(LEASES.path()))["items"]:
            ref = lease["spec"]["clusterRef"].get("kubeconfigSecretRef")
            plane = str(ref["name"]) if ref else "hub"
            if plane in stack.running.names:
                api = await everything.enter_async_context(await _admin(stack, plane))
                clusters[LeaseUID(lease["metadata"]["uid"])] = api
        ledger = SqlLedger(database, read_only=True) if database else None
        if ledger is not None:
            everything.push_async_callback(ledger.close)
        return await read_world(hub, clusters, ledger)


async def _admin(stack: Stack, plane: str) -> ApiServer:
    return ApiServer(await hub_endpoint(kubeconfig=str(stack.running.kubeconfig(plane))))
