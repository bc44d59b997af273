"""Workloads that end with claims bound."""

import asyncio
from typing import Any

from sublet.api.kinds import CLASSES
from tests.builders.api import gpu_class
from tests.faults.workloads.base import Workload
from tests.faults.world import World
from tests.harness.stack import condition


async def _bind_one(world: World) -> None:
    await world.make_claim("train", on=["west"])
    await world.bound("train")


async def _bind_four(world: World) -> None:
    await world.make_claim("large", gpus=32, placement={"minClusters": 2})
    await world.bound("large")


async def _bind_part(world: World) -> None:
    await world.make_claim("part", on=["west"], gpus=3)
    await world.bound("part")


async def _leave_one_node(world: World) -> None:
    await world.cordon("west", "w-1", cordoned=True)
    await world.lease_counts("west", free=8)


async def _race(world: World) -> None:
    await asyncio.gather(*(world.make_claim(f"race-{i}", on=["west"]) for i in (0, 1)))

    async def one_has_it() -> bool:
        found = [await world.claim(f"race-{i}") or {} for i in (0, 1)]
        bound = [condition(c, "Bound") == "True" for c in found]
        waits = [condition(c, "Reserved") == "False" for c in found]
        return any(bound) and any(waits)

    await world.wait("one is bound and the other waits", one_has_it)


async def _free_the_other(world: World) -> None:
    await world.cordon("west", "w-1", cordoned=False)


async def _own_class(world: World) -> None:
    body = gpu_class(world.name("dear"), hostShare={"cpuPerGpu": 8, "memoryMiBPerGpu": 65_536})
    await world.api["hub"].create(CLASSES.path(), body)
    await world.make_claim("before", on=["west"], class_name=world.name("dear"))
    await world.bound("before")


async def _change_price(world: World) -> None:
    price: dict[str, Any] = {"effectiveTime": world.instant(0), "perGpuHour": "7.25"}
    path = CLASSES.path("", world.name("dear"))
    await world.change("hub", path, {"op": "add", "path": "/spec/prices/-", "value": price})
    await world.make_claim("after", on=["west"], class_name=world.name("dear"))
    await world.bound("after")


async def _drop_class(world: World) -> None:
    await world.delete("hub", CLASSES.path("", world.name("dear")))


BINDING = (
    Workload("bind-one", _bind_one, with_counted=True),
    Workload("bind-four", _bind_four, with_counted=True),
    Workload("bind-part", _bind_part),
    Workload("last-node", _race, _leave_one_node, _free_the_other),
    # with an old view of its class a claim is sold at the old price
    Workload(
        "price-change",
        _change_price,
        _own_class,
        _drop_class,
        with_counted=True,
        not_old=("hub gpuclasses",),
    ),
)
