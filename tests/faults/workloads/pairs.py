"""Workloads that change something there and back at once: a watcher may never see the first half."""

from typing import Any

from sublet.api.kinds import LEASES
from tests.faults.workloads.base import CLAIMS_VIEW, NODES_VIEW, Workload
from tests.faults.workloads.nodes import bound_on_west, node_of, show_gpus
from tests.faults.world import World
from tests.harness.stack import condition


async def _node_again(world: World) -> None:
    """Another node comes under the name of a bound claim's: it isn't the claim's, whether or not it was ever seen to be missing."""
    name = await node_of(world)
    await world.delete("west", f"/api/v1/nodes/{name}")
    await world.make_node("west", name)
    await world.says("train", "Degraded")
    await world.lease_counts("west", delivered=16, free=8)


async def _gpus_there_and_back(world: World) -> None:
    name = await node_of(world)
    await show_gpus(world, name, 7)
    await show_gpus(world, name, 8)
    await _all_well(world)


async def _cordon_and_back(world: World) -> None:
    for name in ("w-0", "w-1"):
        await world.cordon("west", name, cordoned=True)
        await world.cordon("west", name, cordoned=False)
    await _all_well(world)


async def _all_well(world: World) -> None:
    """Wait until the claim and its lease are as they were."""

    async def is_well() -> bool:
        claim = await world.bound("train")
        lease: dict[str, Any] = await world.get("hub", LEASES.path("", "west")) or {}
        counts = lease["status"]["inventory"]
        is_whole = condition(claim, "Degraded") != "True"
        return is_whole and (counts["bound"], counts["free"]) == (8, 8)

    await world.wait("all is as it was", is_well)


async def _come_and_gone(world: World) -> None:
    await world.make_claim("train", on=["west"])
    await world.delete_claim("train")
    await world.gone("train")


PAIRS = (
    Workload("node-again", _node_again, bound_on_west, pairs=(NODES_VIEW,)),
    Workload("gpus-8-7-8-at-once", _gpus_there_and_back, bound_on_west, pairs=(NODES_VIEW,)),
    Workload("cordon-and-back", _cordon_and_back, bound_on_west, pairs=(NODES_VIEW,)),
    Workload("claim-come-and-gone", _come_and_gone, pairs=(CLAIMS_VIEW,)),
)
