"""Workloads in which a person's word ends what hangs on a silent cluster, and what is left there is cleaned when it answers."""

from sublet.api.kinds import CLAIMS, LEASES
from tests.faults.hand import ACME
from tests.faults.workloads.base import Workload
from tests.faults.world import World

_NODES = ("l0", "l1", "l2")
_THERE = ("train", "leaving", "wide")


async def _bound(world: World) -> None:
    await world.make_claim("train", on=["west"])
    await world.bound("train")


async def _force(world: World) -> None:
    """Let a claim go whose cluster doesn't answer, and then the cluster answer."""
    world.trouble.partition("west")
    await world.lease_says("west", "Reachable", "Unknown")
    await world.delete_claim("train")
    going = await world.says("train", "Releasing")
    word = {"claimUID": going["metadata"]["uid"], "by": "admin"}
    path = CLAIMS.path(ACME, world.name("train"))
    await world.change("hub", path, {"op": "add", "path": "/spec/forceRelease", "value": word})
    await world.gone("train")
    world.trouble.heal("west")
    await world.nothing_is_left("west")
    await world.lease_counts("west", delivered=16, free=16)


async def _own_lease(world: World) -> None:
    """Make a lease of three nodes of its own, two claims on it, one on it and in another cluster, and one beside it in its cluster."""
    name = world.name("doomed")
    for node in _NODES:
        await world.make_node("west", world.name(node), pool=name)
    await world.make_lease(name, "west", committed=24)
    for each in ("train", "leaving"):
        await world.make_claim(each, on=[name])
        await world.bound(each)
    await world.make_claim("wide", on=[name, "east"], gpus=24)
    await world.bound("wide")
    await world.make_claim("beside", on=["west"])
    await world.bound("beside")


async def _lose(world: World) -> None:
    """Declare a silent lease lost, and let its cluster answer when its claims have ended."""
    name = world.name("doomed")
    world.trouble.partition("west")
    for each in ("west", name):
        await world.lease_says(each, "Reachable", "Unknown")
    await world.delete_claim("leaving")
    await world.says("leaving", "Releasing")
    meta = (await world.api["hub"].get(LEASES.path("", name)))["metadata"]
    word = {"leaseUID": meta["uid"], "time": world.instant(-1), "by": "admin"}
    path = LEASES.path("", name)
    await world.change("hub", path, {"op": "add", "path": "/spec/lost", "value": word})
    for each in ("train", "wide"):
        await world.says(each, "Ended", "True", "LeaseLost")
    await world.gone("leaving")
    world.trouble.heal("west")
    await world.nothing_is_left(name)
    for node in _NODES:
        await world.node_is_bare("west", world.name(node))
    await world.lease_counts("west", delivered=16, bound=8, free=8)


async def _drop_lease(world: World) -> None:
    world.trouble.heal("west")
    for each in (*_THERE, "beside"):
        await world.delete_claim(each)
    for each in (*_THERE, "beside"):
        await world.gone(each)
    await world.drop_lease(world.name("doomed"))
    for node in _NODES:
        await world.delete("west", f"/api/v1/nodes/{world.name(node)}")


WORDS = (
    Workload("force-release", _force, _bound, with_counted=True),
    Workload("lease-lost", _lose, _own_lease, _drop_lease, with_counted=True),
)
