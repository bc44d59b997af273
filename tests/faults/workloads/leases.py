"""Workloads in which a lease ends, goes, or gets another credential, with claims on it."""

from sublet.api.kinds import LEASES
from sublet.cli.onboarding.credential import revoke_others, take_token
from tests.faults.workloads.base import Workload
from tests.faults.world import World
from tests.harness.stack import NAMESPACE as SYSTEM

_LEFT_SECONDS = 3.0


async def _own_lease(world: World) -> None:
    """Make a lease of one node of its own, and a claim on it."""
    name = world.name("short")
    await world.make_node("west", world.name("s"), pool=name)
    await world.make_lease(name, "west", committed=8)
    await world.make_claim("train", on=[name])
    await world.bound("train")


async def _end(world: World) -> None:
    path = LEASES.path("", world.name("short"))
    end = {"op": "add", "path": "/spec/term/endTime", "value": world.instant(_LEFT_SECONDS)}
    await world.change("hub", path, end)
    await world.says("train", "Ended", "True", "LeaseEnded")
    await world.node_is_bare("west", world.name("s"))


async def _delete_lease(world: World) -> None:
    await world.delete("hub", LEASES.path("", world.name("short")))
    await world.delete_claim("train")
    await world.gone("train")
    await world.drop_lease(world.name("short"))
    await world.node_is_bare("west", world.name("s"))


async def _drop_lease(world: World) -> None:
    await world.delete_claim("train")
    await world.gone("train")
    await world.drop_lease(world.name("short"))
    await world.delete("west", f"/api/v1/nodes/{world.name('s')}")


async def _bound(world: World) -> None:
    await world.make_claim("train", on=["west"])
    await world.bound("train")


async def _rotate(world: World) -> None:
    """Give the operator another token as `sublet onboard --rotate` does, take the old one back, and go on."""
    west = world.api["west"]
    token = await take_token(west, SYSTEM, rotate=True)
    await world.write_credential("west", token)
    await revoke_others(west, SYSTEM, token)
    await world.make_claim("after", on=["west"])
    await world.bound("after")
    await world.delete_claim("train")
    await world.gone("train")


LEASE = (
    Workload("lease-end", _end, _own_lease, _drop_lease, with_counted=True),
    Workload("lease-deleted", _delete_lease, _own_lease, _drop_lease, with_counted=True),
    Workload("rotation", _rotate, _bound),
)
