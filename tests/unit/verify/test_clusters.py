"""What is said of a leased cluster besides what is read there, and of one that answers what no API server would."""

from collections.abc import Callable
from typing import Any

import pytest

from sublet.api.ids import LeaseUID
from sublet.fleet.nodebook import CLAIM_LABEL
from sublet.verify.find import find_violations
from sublet.verify.reader import read_world
from tests.builders.api import uid_of
from tests.unit.verify.test_reader import (
    HOME,
    LEASE_UID,
    LEASES,
    Ledger,
    Plane,
    adopted,
    clock,
    hub,
    locked,
    raw_lease,
    read,
    west,
)

Json = dict[str, Any]
NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
HOMES = "/api/v1/namespaces"
QUOTAS = "/api/v1/resourcequotas"
KUBE_SYSTEM = "/api/v1/namespaces/kube-system"


def nest() -> Any:
    """Return lists in lists, more than a text can be made of."""
    found: Any = []
    for _ in range(10_000):
        found = [found]
    return found


class Liar(Plane):
    """A cluster of its own with a node, a claim namespace and a pod, of which a test garbles one thing."""

    def __init__(self) -> None:
        pod = {"metadata": {"name": "p", "namespace": HOME}, "spec": {"nodeName": "west-0000"}}
        super().__init__(west(**{NODES: [locked(0)], PODS: [pod]}).answers)
        self.answers[KUBE_SYSTEM] = {"metadata": {"uid": uid_of("liar")}}

    async def get(self, path: str, **_: str) -> Json:
        found = self.answers[path]
        return {"items": found} if isinstance(found, list) else found


def _notes(x: Liar, junk: Any, key: str = "allocation") -> None:
    x.answers[NODES][0]["metadata"]["annotations"][f"sublet.dev/{key}"] = junk


def _meta(x: Liar, junk: Any, path: str, key: str) -> None:
    x.answers[path][0]["metadata"][key] = junk


def _label(x: Liar, junk: Any, path: str, key: str) -> None:
    x.answers[path][0]["metadata"]["labels"][key] = junk


def _taint(x: Liar, junk: Any) -> None:
    x.answers[NODES][0]["spec"]["taints"][0]["value"] = junk


def _hard(x: Liar, junk: Any) -> None:
    for part in ("spec", "status"):
        x.answers[QUOTAS][0][part] = {"hard": {"requests.nvidia.com/gpu": junk}}


GARBLED: dict[str, Callable[[Liar, Any], None]] = {
    **{f"note {k}": lambda x, junk, k=k: _notes(x, junk, k)
       for k in ("allocation", "sharing", "tenant", "leaving", "unwiped", "another")},
    **{f"node's {k}": lambda x, junk, k=k: _meta(x, junk, NODES, k)
       for k in ("name", "uid", "labels", "annotations")},
    **{f"node's label {k}": lambda x, junk, k=k: _label(x, junk, NODES, k)
       for k in ("sublet.dev/lease", "nvidia.com/gpu.count")},
    "taint": _taint,
    "taints": lambda x, junk: x.answers[NODES][0]["spec"].update(taints=junk),
    "namespace's name": lambda x, junk: _meta(x, junk, HOMES, "name"),
    "namespace's labels": lambda x, junk: _meta(x, junk, HOMES, "labels"),
    "namespace's label": lambda x, junk: _label(x, junk, HOMES, "sublet.dev/claim"),
    "quota": _hard,
    "pod's name": lambda x, junk: _meta(x, junk, PODS, "name"),
    "pod's namespace": lambda x, junk: _meta(x, junk, PODS, "namespace"),
    "pod's node": lambda x, junk: x.answers[PODS][0]["spec"].update(nodeName=junk),
    "cluster": lambda x, junk: x.answers[KUBE_SYSTEM]["metadata"].update(uid=junk),
}  # fmt: skip
"""what is garbled -> how"""


@pytest.mark.parametrize("junk", [7, ["a"], {"a": [7]}, nest()], ids=["number", "list", "object", "nest"])  # fmt: skip
@pytest.mark.parametrize("what", GARBLED)
async def test_a_cluster_that_garbles_anything_hides_nothing_of_another(what: str, junk: Any):
    second, liar, unmarked = raw_lease(), Liar(), locked(0)
    second["metadata"] |= {"name": "more", "uid": uid_of("more")}
    del unmarked["metadata"]["annotations"]["sublet.dev/sharing"]
    GARBLED[what](liar, junk)
    honest = west(**{NODES: [unmarked, adopted(1)]})
    world = await read_world(
        hub(**{LEASES: [raw_lease(), second]}),
        {LEASE_UID: honest, LeaseUID(uid_of("more")): liar},
        Ledger(),
        clock=clock(),
    )

    assert [(v.id, v.subject) for v in find_violations(world, settled=True)] == [("S1", "node west/west-0000")]  # fmt: skip
    assert [u.subject for u in world.unknown] == ["lease more"]
    assert [c.name for c in world.clusters] == ["west"]


async def test_policies_that_the_operator_found_older_than_its_own_are_unchecked():
    older = {"type": "IsolationReady", "status": "True", "reason": "OlderOnboarding"}
    told = older | {"message": "", "lastTransitionTime": "2026-11-22T10:00:00Z"}
    lease = raw_lease() | {"status": {"conditions": [told]}}
    world = await read(hub(**{LEASES: [lease]}))

    assert world.unknown == ()
    assert list(world.unchecked) == ["policies of west"]
    assert "run `sublet onboard` for it again" in world.unchecked["policies of west"]


@pytest.mark.parametrize("mark", [None, "Anybody", "SameTenant"])
async def test_what_a_node_says_of_sharing_is_read_as_it_is(mark: str | None):
    node = locked(0)
    notes = node["metadata"]["annotations"]
    del notes["sublet.dev/sharing"]
    notes |= {"sublet.dev/sharing": mark} if mark is not None else {}

    world = await read(hub(), west(**{"/api/v1/nodes": [node]}))

    assert [n.sharing for n in world.clusters[0].nodes] == [mark]


async def test_who_leaves_a_node_is_read_from_labels_and_an_older_versions_mark():
    node, (gone, older) = locked(0), (uid_of(x) for x in ("gone", "older"))
    node["metadata"]["labels"] |= {CLAIM_LABEL + gone: "0123456789abcdef", CLAIM_LABEL + older: "true"}  # fmt: skip
    node["metadata"]["annotations"]["sublet.dev/leaving"] = older

    world = await read(hub(), west(**{"/api/v1/nodes": [node]}))

    assert [n.leaving for n in world.clusters[0].nodes] == [{gone, older}]
