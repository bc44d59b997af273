"""A pod that its cluster fails or refuses to delete holds up no other, and is said in our own words."""

from collections.abc import Mapping
from typing import Any

import pytest

from sublet.binder import release
from sublet.binder.ports import ClusterRefuses, ClusterSilent, StillThere
from sublet.binder.release import empty
from sublet.kube.errors import error_from_status
from sublet.kube.wire import Named, Pod, PodSpec
from tests.builders.clusters import NotedApi
from tests.unit.binder.test_release import TRAIN, site

WORDS = "etcdserver: request is too large; <script>"
"""What the cluster says of it."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "POD_WAIT_SECONDS", 0.0)


class Filled(NotedApi):
    """A cluster whose API server doesn't delete some pods, as the time of their deletion has no room, say; others go."""

    def __init__(self, *pods: str, full: tuple[str, ...], status: int = 500) -> None:
        super().__init__(TRAIN)
        self.pods = [*pods]
        self.selected: list[str] = []
        """How pods were selected that were to be deleted."""
        self._full = full
        self._status = status

    def listed(self, path: str, params: Mapping[str, str]) -> list[Pod]:
        return [Pod(Named(name), spec=PodSpec(node_name="n0")) for name in self.pods]

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, **_: Any
    ) -> None:
        await super().request(method, path)
        chosen = (params or {}).get("fieldSelector", "")
        self.selected.append(chosen)
        name = chosen.rpartition("metadata.name=")[2]
        for pod in [p for p in self.pods if name in ("", p)]:
            if pod in self._full:
                raise error_from_status(self._status, {"message": WORDS})
            self.pods.remove(pod)


@pytest.mark.parametrize("status", [500, 403, 409, 422, 400])
async def test_a_pod_that_cant_be_deleted_holds_up_no_other(status: int):
    """A webhook chooses its status, 400 where it doesn't."""
    api = Filled("a", "full", "z", full=("full",), status=status)

    with pytest.raises(ClusterRefuses):
        await empty(site(api))

    assert api.pods == ["full"]


async def test_it_is_said_with_what_a_person_can_do_and_without_the_clusters_words():
    with pytest.raises(ClusterRefuses) as refused:
        await empty(site(Filled("a", "full", full=("full",))))

    said = str(refused.value)
    assert "west refuses a step: its API server answers, and fails to delete pod full, which" in said  # fmt: skip
    assert "takes labels or annotations off it and deletes it" in said
    assert "etcd" not in said
    assert "script" not in said


@pytest.mark.parametrize("status", [403, 409, 422, 400])
async def test_one_that_a_landlord_refuses_to_delete_is_not_called_too_large(status: int):
    with pytest.raises(ClusterRefuses) as refused:
        await empty(site(Filled("a", "full", full=("full",), status=status)))

    assert str(refused.value) == (
        "west refuses a step: its API server refuses to delete pod full, which runs on; a webhook or a policy there may ask "
        "for that: whoever is admin there exempts the claim's namespace from it, or deletes the pod"
    )


class Rightless(Filled):
    """A cluster in which the operator may delete no pods any more, nor a list of none."""

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, **_: Any
    ) -> None:
        self.selected.append((params or {}).get("fieldSelector", ""))
        raise error_from_status(403, {"message": "cannot deletecollection"})


async def test_without_the_right_to_delete_pods_no_single_one_is_asked_for():
    api = Rightless("a", "b", full=())

    with pytest.raises(StillThere, match="waiting for 2 pods"):
        await empty(site(api))

    assert api.selected == ["", "metadata.name=-"]


async def test_of_several_one_is_named_and_the_others_are_counted():
    with pytest.raises(ClusterRefuses, match="fails to delete pod full-0 and 2 more, which runs"):
        await empty(site(Filled(*(f"full-{i}" for i in range(3)), full=("full-0", "full-1", "full-2"))))  # fmt: skip


async def test_a_name_that_no_pod_can_have_selects_nothing_and_is_never_said():
    odd = "x,spec.nodeName=other <b>"
    api = Filled("full", odd, full=("full", odd))

    with pytest.raises(ClusterRefuses) as refused:
        await empty(site(api))

    assert api.selected == ["", "metadata.name=full"]
    assert "<b>" not in str(refused.value)


async def test_a_server_that_is_in_trouble_as_a_whole_is_asked_for_no_single_pod():
    api = Filled("a", "b", full=("a", "b"), status=503)

    with pytest.raises(ClusterSilent, match="it can't be reached now"):
        await empty(site(api))

    assert api.selected == [""]
