"""When a claim's nodes count as empty."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.gpulease import GpuLease
from sublet.binder import release
from sublet.binder.ports import ClusterSilent, StillThere
from sublet.binder.release import empty, shut_out
from sublet.binder.sites import Site
from sublet.binder.slots import Slots
from sublet.kube.errors import Conflict
from sublet.kube.wire import Named, Pod, PodSpec
from tests.builders.api import as_lease, lease, uid_of
from tests.builders.clusters import CLUSTER, NotedApi

TRAIN = uid_of("train")
WEST = as_lease(lease("west"))


class OnNode(NotedApi):
    """A cluster in whose namespace one pod runs on a node."""

    def __init__(self, claim_uid: str, node: str) -> None:
        super().__init__(claim_uid)
        self._node = node

    def listed(self, path: str, params: Mapping[str, str]) -> list[Pod]:
        return [Pod(Named(), spec=PodSpec(node_name=self._node))]


def site(api: NotedApi, of: GpuLease = WEST) -> Site:
    facts = SimpleNamespace(cluster_uid=CLUSTER)
    cluster: Any = SimpleNamespace(api=api, lease=of, facts=facts)
    home: Any = SimpleNamespace(name=f"sublet-{TRAIN}-1", claim_uid=TRAIN)
    berth: Any = SimpleNamespace(place=SimpleNamespace(node="n0"))
    return Site("west", cluster, Slots(1), (berth,), home)


async def test_a_namespace_whose_label_was_taken_off_holds_the_nodes_that_its_pods_run_on():
    api = OnNode("", "n0")

    with pytest.raises(StillThere, match="isn't marked as the claim's any more"):
        await empty(site(api))
    assert api.sent("DELETE") == []


async def test_somebody_elses_namespace_of_the_name_holds_nothing_by_pods_elsewhere():
    api = OnNode("", "another")

    await empty(site(api))

    assert api.sent("DELETE") == []


async def test_nodes_are_empty_only_by_the_word_of_the_cluster_that_their_lease_recorded():
    """The connection was made after somebody had exchanged the cluster."""
    elsewhere = as_lease(lease("west") | {"status": {"clusterUID": uid_of("the old cluster")}})

    with pytest.raises(ClusterSilent):
        await empty(site(OnNode("", "another"), elsewhere))


class Hanging(OnNode):
    """A cluster in which a pod doesn't go; it notes how it is asked to."""

    def __init__(self) -> None:
        super().__init__(TRAIN, "n0")
        self.policies: list[str | None] = []

    async def request(self, method: str, path: str, *, body: bytes = b"", **query: Any) -> None:
        await super().request(method, path, **query)
        self.policies.append(json.loads(body).get("propagationPolicy"))


async def test_each_try_asks_pods_to_go_without_waiting_for_what_depends_on_them(
    monkeypatch: pytest.MonkeyPatch,
):
    """A server takes a wish to wait off a pod only once the pod's grace is over, so one try isn't enough."""
    monkeypatch.setattr(release, "POD_WAIT_SECONDS", 0.0)
    api = Hanging()

    for _ in range(2):
        with pytest.raises(StillThere):
            await empty(site(api))

    assert api.policies == ["Background", "Background"]


class Contested(NotedApi):
    """A cluster that refuses the namespace's deletion a few times, or in which it is ending already."""

    def __init__(self, conflicts: int = 0, *, is_ending: bool = False) -> None:
        super().__init__(TRAIN)
        self._conflicts = conflicts
        self._is_ending = is_ending

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        found = await super().get(path, **query)
        ending = {"deletionTimestamp": "2026-11-22T10:00:00Z"} if self._is_ending else {}
        return {"metadata": found["metadata"] | ending}

    async def delete(self, path: str, **options: Any) -> None:
        await super().delete(path, **options)
        if path.endswith(f"sublet-{TRAIN}-1") and self._conflicts:
            self._conflicts -= 1
            raise Conflict(409, "Conflict", "changed meanwhile")

    @property
    def tries(self) -> int:
        return sum(path.endswith(f"/namespaces/sublet-{TRAIN}-1") for path in self.sent("DELETE"))


async def test_a_namespace_whose_deletion_is_refused_is_deleted_all_the_same():
    api = Contested(conflicts=2)

    await shut_out(site(api))

    assert api.tries == 3


async def test_a_namespace_that_cant_be_deleted_is_waited_for_and_never_forgotten():
    with pytest.raises(StillThere, match="changes too fast to be deleted"):
        await shut_out(site(Contested(conflicts=99)))


async def test_a_namespace_that_is_ending_is_not_deleted_again():
    api = Contested(is_ending=True)

    await shut_out(site(api))

    assert api.tries == 0
