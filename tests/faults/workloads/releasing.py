"""Workloads that end with claims released."""

from contextlib import suppress

from sublet.api.kinds import CLAIMS
from sublet.kube.errors import Conflict
from tests.faults.hand import ACME
from tests.faults.workloads.base import Workload
from tests.faults.world import World


async def _bound(world: World) -> None:
    await world.make_claim("train", on=["west"])
    await world.bound("train")


async def _with_pods(world: World) -> None:
    await _bound(world)
    bound = await world.bound("train")
    path = f"/api/v1/namespaces/sublet-{bound['metadata']['uid']}-1/pods"
    for name in ("a", "b"):
        limits = {"nvidia.com/gpu": 4, "cpu": 1, "memory": "1Gi"}
        container = {"name": "main", "image": "train:1", "resources": {"limits": limits}}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [container]},
        }
        await world.api["west"].create(path, body)

    async def run() -> bool:
        pods = await world.items("west", path)
        return all(p.get("status", {}).get("phase") == "Running" for p in pods)

    await world.wait("the pods run", run)


async def _release(world: World) -> None:
    await world.delete_claim("train")
    await world.gone("train")


async def _delete_during_bind(world: World) -> None:
    await world.make_claim("train", on=["west"])

    async def is_locked() -> bool:
        return any(e.is_done and e.target.resource == "nodes" for e in world.journal.writes)

    await world.wait("the node is locked", is_locked)
    await _release(world)


async def _delete_once_bound(world: World) -> None:
    """The binding was faster than whoever deletes: then the claim was bound, and is billed for it."""
    await _bound(world)
    await _release(world)


async def _make_again(world: World) -> None:
    old = await world.claim("train")
    assert old is not None
    await world.delete_claim("train")

    async def made() -> bool:
        with suppress(Conflict):
            await world.make_claim("train", on=["west"])
            return True
        return False

    await world.wait("the name is free again", made)
    await world.bound("train")


async def _release_in_a_partition(world: World) -> None:
    world.trouble.partition("west")
    await world.lease_says("west", "Reachable", "Unknown")
    await world.delete_claim("train")
    await world.says("train", "Releasing")
    world.trouble.heal("west")
    await world.gone("train")


async def _suspend(world: World) -> None:
    path = CLAIMS.path(ACME, world.name("train"))
    await world.change("hub", path, {"op": "add", "path": "/spec/suspended", "value": True})
    await world.says("train", "Releasing", "False", "Released")


RELEASING = (
    Workload("release-pods", _release, _with_pods, with_counted=True),
    Workload("delete-during-bind", _delete_during_bind, also=(_delete_once_bound,)),
    Workload("make-again", _make_again, _bound),
    Workload("partition-deletion", _release_in_a_partition, _bound),
    Workload("suspend", _suspend, _bound),
)
