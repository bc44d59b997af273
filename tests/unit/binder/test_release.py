"""When a claim's nodes count as empty."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.binder.ports import StillThere
from sublet.binder.release import empty
from sublet.binder.sites import Site
from sublet.binder.slots import Slots
from sublet.kube.wire import Meta, Pod, PodList, PodSpec
from tests.builders.api import uid_of
from tests.builders.clusters import CLUSTER, NotedApi

TRAIN = uid_of("train")


class OnNode(NotedApi):
    """A cluster in whose namespace one pod runs on a node."""

    def __init__(self, claim_uid: str, node: str) -> None:
        super().__init__(claim_uid)
        self._node = node

    async def get_as(self, path: str, type_: type, **query: str) -> Any:
        if type_ is not PodList:
            return await super().get_as(path, type_, **query)
        return PodList(Meta(), items=[Pod(Meta(), spec=PodSpec(node_name=self._node))])


def site(api: NotedApi) -> Site:
    facts: Any = SimpleNamespace(api=api, facts=SimpleNamespace(cluster_uid=CLUSTER))
    home: Any = SimpleNamespace(name=f"sublet-{TRAIN}-1", claim_uid=TRAIN)
    berth: Any = SimpleNamespace(place=SimpleNamespace(node="n0"))
    return Site("west", facts, Slots(1), (berth,), home)


async def test_a_namespace_whose_label_was_taken_off_holds_the_nodes_that_its_pods_run_on():
    api = OnNode("", "n0")

    with pytest.raises(StillThere, match="isn't marked as the claim's any more"):
        await empty(site(api))
    assert api.sent("DELETE") == []


async def test_somebody_elses_namespace_of_the_name_holds_nothing_by_pods_elsewhere():
    api = OnNode("", "another")

    await empty(site(api))

    assert api.sent("DELETE") == []
