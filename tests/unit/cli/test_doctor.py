"""One lease's trouble hides no other's, and a list without an end has one."""

import base64
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from sublet.cli.onboarding import cluster as looking, doctor
from sublet.cli.onboarding.findings import Finding, error, ok, warning
from sublet.cli.onboarding.nodes import UNSEEN
from sublet.cli.onboarding.pages import read_all
from sublet.fleet.credential import CREDENTIALS_LABEL
from sublet.fleet.isolation import Proof
from sublet.kube.errors import BadAnswer, Forbidden, NotFound
from sublet.kube.lists import ListPage, page_of
from sublet.kube.wire import Node
from tests.builders.api import lease, uid_of
from tests.builders.wire import page
from tests.harness.small_hub import small_hub

OWN = lease("hub-own", clusterRef={"inCluster": {}})
ODD = lease("odd", term={"startTime": "2026-12-01T00:00:00x5Z"})


class Hub:
    """A hub with some leases and no credential of any."""

    title = "the hub"

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = [{**x, "metadata": {**x["metadata"], "uid": uid_of("x")}} for x in items]

    async def list_page(self, *_: Any, **__: Any) -> ListPage:
        return page(*self.items)

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        if "kube-system" in path:
            return {"metadata": {"uid": uid_of("hub")}}
        raise NotFound(404, "NotFound", path)

    async def get_as(self, path: str, type_: Any, **_: str) -> Any:
        return msgspec.convert(await self.get(path), type_)

    async def create(self, path: str, *_: Any, **__: Any) -> Any:
        raise Forbidden(403, "Forbidden", f"you can't create {path}")


@pytest.mark.parametrize(("troubled", "words"), [(OWN, "no credential"), (ODD, "can't read it")])
async def test_one_leases_trouble_hides_no_others(
    troubled: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    @asynccontextmanager
    async def connect(*_: Any):
        yield Hub(troubled, lease("west"))

    monkeypatch.setattr(doctor, "connect", connect)

    assert not await doctor.diagnose_all(None, hub_context=None, namespace="sublet-system")
    said = capsys.readouterr().out
    assert words in said
    assert "lease west\n" in said
    assert "isn't on the hub" in said


_POLICIES = "/apis/admissionregistration.k8s.io/v1"
_OTHER_PODS = f"{_POLICIES}/validatingadmissionpolicies/sublet-other-pods"


@pytest.fixture
def cluster(hub: Any) -> Iterator[Any]:
    """A leased cluster, whose lease is the first of two on the hub."""
    with small_hub(tls=True) as found:
        _onboard(hub, found)
        yield found


def _onboard(hub: Any, cluster: Any) -> None:
    for name in ("aaa", "zzz"):
        hub.put(lease(name))
    hub.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": uid_of("hub")}}
    text = base64.b64encode(cluster.kubeconfig().encode()).decode()
    secret = {
        "metadata": {"labels": {CREDENTIALS_LABEL: "true"}},
        "data": {"kubeconfig": text},
    }
    hub.objects["/api/v1/namespaces/sublet-system/secrets/aaa"] = secret
    cluster.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": uid_of("aaa")}}
    cluster.objects["/version"] = {"minor": "31+"}
    cluster.objects[_POLICIES] = {"resources": []}
    cluster.objects["/api/v1/pods"] = cluster.objects["/api/v1/nodes"] = {
        "metadata": {},
        "items": [],
    }


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/version", {"minor": "²"}),
        ("/version", {"minor": "9" * 5_000}),
        ("/version", {"minor": ["31"]}),
        (_OTHER_PODS, {"metadata": {}, "spec": None}),
        (_OTHER_PODS, {"metadata": {}, "spec": {"matchConstraints": [1]}}),
    ],
)
def test_an_answer_that_no_api_server_gives_is_one_leases_trouble(
    cluster: Any, person: Any, path: str, answer: dict[str, Any]
):
    assert "Kubernetes 1.31" in person.run("doctor")[1]
    cluster.objects[path] = answer
    status, said, complained = person.run("doctor")

    assert (status, complained) == (1, "")
    assert "the cluster is asked in vain: " in said
    assert said.index("lease aaa") < said.index("lease zzz")
    assert said.count("the operator hasn't looked at this lease yet") == 2


def test_a_cluster_that_isnt_at_its_address_is_said_with_what_mends_it(cluster: Any, person: Any):
    del cluster.objects["/api/v1/namespaces/kube-system"]
    status, said, _ = person.run("doctor", "aaa")

    assert status == 1
    assert f"is {cluster.url} its address? run `sublet onboard` for this cluster again" in said
    assert "--context" not in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"--hub-context": "nope"}, "no context nope; give --hub-context (there are: "),
        ({}, "; set KUBECONFIG or --hub-context"),
    ],
    ids=["unknown", "unusable"],
)
def test_a_hub_that_cant_be_reached_is_said_with_the_option_that_chooses_it(
    person: Any, given: dict[str, str], words: str
):
    person.leads_to("")
    complained = person.run("doctor", *(part for pair in given.items() for part in pair))[2]

    assert words in complained


def test_a_lease_that_was_connected_to_another_cluster_is_told_so_whatever_its_spec_says(
    hub: Any, cluster: Any, person: Any
):
    ref = {"kubeconfigSecretRef": {"name": "aaa"}, "clusterUID": uid_of("aaa")}
    hub.put(lease("aaa", clusterRef=ref) | {"status": {"clusterUID": uid_of("old")}})

    said = person.run("doctor")[1]

    assert f"but the lease is pinned to {uid_of('old')}" in said


@pytest.mark.parametrize(
    ("proof", "finding"),
    [
        (Proof(), ok("isolation is live: the policies act")),
        (Proof("a policy is missing"), error("a policy is missing")),
        (Proof(caveat="run onboard again"), warning("run onboard again")),
    ],
    ids=["it holds", "it doesn't", "older policies"],
)
async def test_what_is_to_be_done_about_isolation_is_said_as_badly_as_it_is(
    proof: Proof, finding: Finding, monkeypatch: pytest.MonkeyPatch
):
    async def prove(_: Any) -> Proof:
        return proof

    monkeypatch.setattr(looking, "prove_isolation", prove)
    nobody: Any = None

    assert await looking.isolation_finding(nobody) == finding


def test_what_a_lease_asks_for_beyond_its_onboarding_is_an_error_with_the_option_that_mends_it(
    hub: Any, cluster: Any, person: Any
):
    hub.put(lease("aaa", tenantAccess={"capabilities": ["IPC_LOCK"]}))
    cluster.refusal = (403, "Forbidden", "policy 'sublet-operator-fence' denied request: not sold")
    status, said, _ = person.run("doctor", "aaa")

    assert status == 1
    assert "error     tenantAccess asks for more than `sublet onboard` allowed" in said
    assert "--capability IPC_LOCK" in said
    assert "NetworkPolicies" in said, "and the rest is looked at too"


def test_a_mistake_of_ours_is_said_of_its_lease_and_hides_no_other(
    cluster: Any, person: Any, monkeypatch: pytest.MonkeyPatch
):
    def stumble(*_: Any) -> None:
        raise TypeError("a list is no mapping")

    monkeypatch.setattr(doctor, "lease_findings", stumble)
    status, said, _ = person.run("doctor")

    assert status == 1
    assert "error     lease aaa: unexpected TypeError: a list is no mapping at " in said
    assert "lease zzz\n" in said


def test_what_a_landlord_calls_a_daemon_set_drives_no_terminal(cluster: Any, person: Any):
    owner = {"kind": "DaemonSet", "name": "nvidia\x1b[1A\x1b[2K"}
    meta = {"name": "p", "namespace": "kube-system", "ownerReferences": [owner]}
    cluster.objects["/api/v1/pods"] = {"metadata": {}, "items": [{"metadata": meta, "spec": {}}]}
    said = person.run("doctor")[1]

    assert "DaemonSet kube-system/nvidia [1A [2K doesn't tolerate" in said


@pytest.mark.parametrize("reason", ["Quarantined", "Settling", "Lost", "ReleaseForced"])
def test_gpus_that_only_the_operator_knows_not_to_be_sellable_are_counted_with_advice(
    hub: Any, cluster: Any, person: Any, reason: str
):
    unsellable = [{"reason": reason, "gpus": 16}, {"reason": "Cordoned", "gpus": 8}]
    hub.put({**lease("aaa"), "status": {"inventory": {"unsellable": unsellable}}})
    _, said, _ = person.run("doctor", "aaa")

    words = f"warning   {reason}: by the operator's count, 16 GPUs can't be sold: {UNSEEN[reason]}"
    assert words in said
    assert "Cordoned" not in said, "what its cluster shows is told from there"


async def test_a_list_that_has_no_end_isnt_believed():
    class Endless:
        async def list_page(self, path: str, *_: Any, limit: int, **__: Any) -> ListPage:
            return page_of(b'{"metadata": {"continue": "more"}, "items": []}', limit, path)

    endless: Any = Endless()
    with pytest.raises(BadAnswer, match="no end"):
        await read_all(endless, "/api/v1/nodes", Node)


def test_a_lease_that_isnt_there_is_looked_for_by_options_that_doctor_has(person):
    status, _, err = person.run("doctor", "nope")

    assert status == 1
    assert (
        err == "sublet: lease nope: not found on the hub; check name and context (--hub-context)\n"
    )
