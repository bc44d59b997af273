"""Workloads in which nodes come, go and fall ill under a bound claim."""

from typing import Any

from tests.faults.workloads.base import Workload
from tests.faults.world import World

SICK = "nvidia.com/gpu-xid-error"
HOURS_SICK = 0.1
"""Hours by which the clock goes on: a node that stays sick for five minutes is replaced."""


async def bind(world: World, **spec: Any) -> str:
    """Bind a claim on west and return its node's name."""
    await world.make_claim("train", on=["west"], **spec)
    bound = await world.bound("train")
    return str(bound["status"]["allocation"]["placements"][0]["node"])


async def bound_on_west(world: World) -> None:
    """Bind a claim on west."""
    await bind(world)


async def node_of(world: World) -> str:
    """Return the name of the bound claim's node."""
    bound = await world.bound("train")
    return str(bound["status"]["allocation"]["placements"][0]["node"])


async def _lose_node(world: World) -> None:
    name = await node_of(world)
    await world.delete("west", f"/api/v1/nodes/{name}")
    await world.says("train", "Degraded")
    await world.make_node("west", name)
    await world.lease_counts("west", delivered=16, free=8)


async def _lose_gpu(world: World) -> None:
    name = await node_of(world)
    await show_gpus(world, name, 7)
    await world.says("train", "Degraded")
    await show_gpus(world, name, 8)
    await world.says_no_more("train", "Degraded")


async def show_gpus(world: World, name: str, gpus: int) -> None:
    """Let a node's kubelet say how many GPUs it has."""
    path = "/status/allocatable/nvidia.com~1gpu"
    change = {"op": "add", "path": path, "value": str(gpus)}
    await world.change("west", f"/api/v1/nodes/{name}/status", change)


async def _with_a_sick_node(world: World) -> None:
    """Bind a claim that asks for replacement, and let its node be sick for a while."""
    await bind(world, replacement="OnFailure")
    await _sicken(world)


async def _with_no_other_node_there(world: World) -> None:
    """Likewise, but the only nodes that can take its place are in the other cluster."""
    for plane, name in (("west", "w-1"), ("east", "e-0"), ("east", "e-1")):
        await world.cordon(plane, name, cordoned=True)
    await world.lease_counts("west", free=8)
    await world.lease_counts("east", free=0)
    await world.make_claim("train", replacement="OnFailure")
    await world.bound("train")
    for name in ("e-0", "e-1"):
        await world.cordon("east", name, cordoned=False)
    await world.lease_counts("east", free=16)
    await _sicken(world)


async def _with_a_node_gone(world: World) -> None:
    """Likewise, but the node is gone for good."""
    await bind(world, replacement="OnFailure")
    await world.delete("west", f"/api/v1/nodes/{await node_of(world)}")
    await world.says("train", "Degraded")


async def _sicken(world: World) -> None:
    name = await node_of(world)
    taint = {"key": SICK, "value": "yes", "effect": "NoSchedule"}
    change = {"op": "add", "path": "/spec/taints/-", "value": taint}
    await world.change("west", f"/api/v1/nodes/{name}", change)
    await world.says("train", "Degraded")


async def _replace(world: World) -> None:
    world.operators.move_clock(HOURS_SICK)
    await world.touch_lease("west")

    async def is_over() -> bool:
        status = (await world.claim("train") or {}).get("status", {})
        return status["allocation"]["sequence"] == 2 and not status.get("leaving")

    await world.wait("replaced and left", is_over)


async def _heal(world: World) -> None:
    await world.delete_claim(
        "train"
    )  # while the clock is still ahead: a term doesn't end before it began
    await world.gone("train")
    for number in (0, 1):
        path = f"/api/v1/nodes/w-{number}"
        node = await world.get("west", path) or await world.make_node("west", f"w-{number}")
        for at, taint in enumerate(node["spec"].get("taints", [])):
            if taint["key"] == SICK:
                await world.change("west", path, {"op": "remove", "path": f"/spec/taints/{at}"})
    await world.cordon("west", "w-1", cordoned=False)
    await world.operators.set_clock_right()


NODES = (
    Workload("node-loss", _lose_node, bound_on_west),
    Workload("gpus-8-7-8", _lose_gpu, bound_on_west),
    Workload("replace-node", _replace, _with_a_sick_node, _heal),
    Workload("replace-gone", _replace, _with_a_node_gone, _heal),
    Workload("replace-across", _replace, _with_no_other_node_there, _heal),
)
