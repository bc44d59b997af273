"""What claims left in a cluster is taken away once it answers, and stays listed until then."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from sublet.api.last_word import Leftover
from sublet.binder import release as releases
from sublet.binder.leftovers import clear
from sublet.binder.ports import StillThere
from sublet.fleet.nodebook import CLAIM_LABEL, HELD
from sublet.kube.wire import Meta, Named, Node, Pod, PodSpec
from tests.builders.api import NOW, uid_of
from tests.builders.clusters import Hub, NotedApi, clock_at, nobody_keeps_it
from tests.builders.last_words import LEASE_UID, WEST, lost, tools
from tests.builders.wire import our_node


class Emptied(NotedApi):
    """A cluster that lists the nodes which carry a label."""

    def listed(self, path: str, params: Mapping[str, str]) -> Iterable[object]:
        if path != "/api/v1/nodes":
            return super().listed(path, params)
        self.calls.append(("LIST", params["labelSelector"]))
        key, is_equal, value = params["labelSelector"].partition("=")
        labels = ((node, node.metadata.labels) for node in self._nodes.values())
        return [n for n, has in labels if key in has and (not is_equal or has[key] == value)]


def test_what_was_left_is_taken_away_access_first_and_then_off_the_list():
    left = Leftover(claim_uid=uid_of("gone"), homes=(1,), gpus=8, since_time=NOW)
    api = Emptied(left.claim_uid)
    with_ = tools(Hub(None), api)

    asyncio.run(clear(WEST[0], left, with_.cluster(LEASE_UID), with_, nobody_keeps_it))
    deleted = [path.rsplit("/", 2)[-2] for path in api.sent("DELETE")]
    assert deleted == ["rolebindings", "rolebindings", "serviceaccounts", "namespaces"]
    assert with_.lists.changed == [None]


@pytest.mark.parametrize("value", [HELD, "0123456789abcdef"], ids=["held", "left"])
def test_the_entry_is_taken_off_every_node_that_it_had_also_one_that_it_was_leaving(value: str):
    left = Leftover(claim_uid=uid_of("gone"), homes=(1,), gpus=8, since_time=NOW)
    node = our_node(WEST[0], book=f"{left.claim_uid}=8", name="node-1")
    node.metadata.labels[CLAIM_LABEL + left.claim_uid] = value
    path = "/api/v1/nodes/node-1"
    api = Emptied(left.claim_uid, {path: node})
    with_ = tools(Hub(None), api)

    asyncio.run(clear(WEST[0], left, with_.cluster(LEASE_UID), with_, nobody_keeps_it))
    assert api.sent("PATCH") == [path]
    assert with_.lists.changed == [None]


def test_what_still_has_pods_stays_listed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(releases, "POD_TRIES", 1)
    monkeypatch.setattr(releases, "POD_WAIT_SECONDS", 0.0)
    left = Leftover(claim_uid=uid_of("gone"), homes=(1,), gpus=8, since_time=NOW)
    with_ = tools(Hub(None), Emptied(left.claim_uid, pods=1))

    with pytest.raises(StillThere):
        asyncio.run(clear(WEST[0], left, with_.cluster(LEASE_UID), with_, nobody_keeps_it))
    assert with_.lists.changed == []


class Unmarked(Emptied):
    """A cluster in which somebody took the claim's label off its namespace, while a pod runs on its node."""

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        found = await super().get(path)
        return {"metadata": {**found["metadata"], "labels": {}}}

    def listed(self, path: str, params: Mapping[str, str]) -> Iterable[object]:
        if path.endswith("/pods"):
            return [Pod(Named(), spec=PodSpec(node_name="node-1"))]
        return super().listed(path, params)


def test_pods_in_a_namespace_that_lost_its_label_keep_the_nodes_held():
    left = Leftover(claim_uid=uid_of("gone"), homes=(1,), gpus=8, since_time=NOW)
    node = Node(Meta(name="node-1", uid="n1", labels={CLAIM_LABEL + left.claim_uid: HELD}))
    api = Unmarked(left.claim_uid, {"/api/v1/nodes/node-1": node})
    with_ = tools(Hub(None), api)

    with pytest.raises(StillThere, match="isn't marked as the claim's"):
        asyncio.run(clear(WEST[0], left, with_.cluster(LEASE_UID), with_, nobody_keeps_it))
    assert with_.lists.changed == []


@pytest.mark.parametrize("is_lost", [False, True])
def test_nodes_that_were_left_rest_as_the_lease_asks_counted_once(is_lost: bool):
    each = lost() if is_lost else WEST[0]
    term = each.spec.term.model_copy(update={"quarantine_seconds": 60})
    lease = each.model_copy(update={"spec": each.spec.model_copy(update={"term": term})})
    left = Leftover(claim_uid=uid_of("gone"), homes=(1,), gpus=8, since_time=NOW)
    with_ = tools(Hub(None), Emptied(left.claim_uid), lease)
    with_.clock = clock_at(NOW)

    with pytest.raises(StillThere, match="60 seconds"):
        asyncio.run(clear(lease, left, with_.cluster(LEASE_UID), with_, nobody_keeps_it))
    (rested,) = with_.lists.changed
    assert rested is not None
    with_.clock = clock_at(NOW + 60_000)
    asyncio.run(clear(lease, rested, with_.cluster(LEASE_UID), with_, nobody_keeps_it))
    assert with_.lists.changed[-1] is None


def test_the_rest_of_several_claims_nodes_is_counted_in_one_look():
    term = WEST[0].spec.term.model_copy(update={"quarantine_seconds": 60})
    stale = WEST[0].model_copy(update={"spec": WEST[0].spec.model_copy(update={"term": term})})
    meta = stale.metadata.model_copy(update={"resource_version": "9"})
    newest = stale.model_copy(update={"metadata": meta})
    left = Leftover(claim_uid=uid_of("gone"), homes=(1,), gpus=8, since_time=NOW)
    with_ = tools(Hub(None), Emptied(left.claim_uid), newest)
    written: list[str] = []

    async def change(lease: Any, _: Leftover, __: Leftover | None) -> None:
        written.append(lease.metadata.resource_version)

    with_.lists.change = change
    with pytest.raises(StillThere, match="60 seconds"):
        asyncio.run(clear(stale, left, with_.cluster(LEASE_UID), with_, nobody_keeps_it))
    assert written == ["9"]
