"""The rules of order can fail: each is shown a journal that breaks it, and one that doesn't."""

from typing import Any

from tests.builders.api import uid_of
from tests.faults.journal import Entry, Journal, target_of
from tests.faults.order import broken_rules

UID = uid_of("claim")
HOME = f"sublet-{UID}-1"
BOOK = "/metadata/annotations/sublet.dev~1allocation"
CLAIM = "/apis/sublet.dev/v1alpha1/namespaces/acme/gpuclaims/train"
REFUSED = {"message": "ValidatingAdmissionPolicy 'sublet-claim-pods' denied request"}
QUOTA = {"spec": {"hard": {"pods": "1"}}, "status": {"hard": {"pods": "1"}}}
SECRET = {"metadata": {"name": "train-kubeconfig", "ownerReferences": [{"uid": UID}]}}


class Story:
    """A journal written by hand."""

    def __init__(self) -> None:
        self.journal = Journal()

    def ask(
        self, cluster: str, method: str, path: str, body: Any = None, answer: Any = None,
        status: int = 200, pid: int = 1, **query: str,
    ) -> Entry:  # fmt: skip
        entry = self.journal.note(cluster, target_of(method, path, "", query), query, pid, b"")
        entry.body, entry.answer, entry.status = body, answer, status
        return entry

    @property
    def broken(self) -> list[str]:
        return [found.split(":")[0] for found in broken_rules(self.journal)]

    def furnish(self, *, quota: Any = QUOTA) -> None:
        self.ask("west", "POST", "/api/v1/namespaces", {"metadata": {"name": HOME}}, status=201)
        self.ask("west", "GET", f"/api/v1/namespaces/{HOME}/resourcequotas/sublet", answer=quota)
        pods = f"/api/v1/namespaces/{HOME}/pods"
        self.ask("west", "POST", pods, answer=REFUSED, status=403, dryRun="All")

    def read_claim(self, pid: int = 1) -> None:
        self.ask("hub", "GET", CLAIM, answer={"metadata": {"uid": UID}}, pid=pid)

    def lock(self) -> None:
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": "n"},
            {"op": "test", "path": BOOK, "value": ""},
            {"op": "add", "path": BOOK, "value": f"{UID}=8"},
        ]
        self.ask("west", "PATCH", "/api/v1/nodes/n0", patch)

    def unlock(self) -> None:
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": "n"},
            {"op": "test", "path": BOOK, "value": f"{UID}=8"},
            {"op": "add", "path": BOOK, "value": ""},
        ]
        self.ask("west", "PATCH", "/api/v1/nodes/n0", patch)


def test_a_kubeconfig_comes_after_the_proofs():
    story = Story()
    story.furnish()
    story.ask("hub", "POST", "/api/v1/namespaces/acme/secrets", SECRET, status=201)
    assert story.broken == []


def test_a_question_about_rights_is_no_write():
    story = Story()
    story.ask(
        "west", "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {}, status=201
    )
    assert story.broken == []
    assert story.journal.writes == []


def test_a_kubeconfig_before_the_quota_is_live_is_found():
    story = Story()
    story.furnish(quota={"spec": {"hard": {"pods": "1"}}})
    story.ask("hub", "POST", "/api/v1/namespaces/acme/secrets", SECRET, status=201)
    assert len(story.broken) == 1
    assert story.broken[0].startswith("S4 the quota")


def test_a_status_without_a_resource_version_is_found():
    story = Story()
    story.ask("hub", "PUT", f"{CLAIM}/status", {"metadata": {"uid": UID}})
    assert story.broken == ["S8 without UID and resourceVersion"]


def test_a_lock_that_does_not_test_the_book_is_found():
    story = Story()
    story.ask(
        "west", "PATCH", "/api/v1/nodes/n0",
        [{"op": "test", "path": "/metadata/uid", "value": "n"}, {"op": "add", "path": BOOK, "value": f"{UID}=8"}],
    )  # fmt: skip
    assert story.broken == ["S8 without test of UID or book"]


def test_a_node_that_is_freed_without_a_look_at_its_pods_is_found():
    story = Story()
    story.unlock()
    assert story.broken == ["S6 freed without a live list that shows no pod"]


def test_a_node_that_is_freed_while_a_pod_is_there_is_found():
    story = Story()
    pods = {"items": [{"metadata": {"name": "work"}}]}
    story.ask("west", "GET", f"/api/v1/namespaces/{HOME}/pods", answer=pods)
    story.unlock()
    assert story.broken == ["S6 freed without a live list that shows no pod"]


def test_a_node_is_freed_after_an_empty_list():
    story = Story()
    story.ask("west", "GET", f"/api/v1/namespaces/{HOME}/pods", answer={"items": []})
    story.unlock()
    assert story.broken == []


def test_a_node_is_freed_after_a_list_of_all_its_pods_that_shows_none_of_the_claim():
    story = Story()
    for namespace in (HOME, "kube-system"):
        pods = {"items": [{"metadata": {"namespace": namespace}}]}
        story.ask("west", "GET", "/api/v1/pods", answer=pods, fieldSelector="spec.nodeName=n0")
        story.unlock()
    assert story.broken == ["S6 freed without a live list that shows no pod"]


def test_the_look_at_a_nodes_pods_before_its_lock_frees_no_node():
    story = Story()
    selector = "spec.nodeName=n0"
    story.ask("west", "GET", "/api/v1/pods", answer={"items": []}, fieldSelector=selector)
    story.lock()
    story.unlock()
    assert story.broken == ["S6 freed without a live list that shows no pod"]


def test_a_list_of_another_nodes_pods_frees_no_node():
    story = Story()
    selector = "spec.nodeName=n1"
    story.ask("west", "GET", "/api/v1/pods", answer={"items": []}, fieldSelector=selector)
    story.unlock()
    assert story.broken == ["S6 freed without a live list that shows no pod"]


def test_a_namespace_that_goes_before_the_rights_is_found():
    story = Story()
    story.read_claim()
    body = {"preconditions": {"uid": "x"}}
    story.ask("west", "DELETE", f"/api/v1/namespaces/{HOME}", body)
    assert story.broken == ["S5 the namespace goes before the tenant's rights"]


def test_what_another_operator_has_read_counts_for_nothing():
    story = Story()
    story.read_claim(pid=2)
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{HOME}/rolebindings/sublet-tenant"
    story.ask("west", "DELETE", rbac)
    assert story.broken == ["S7 without having read the claim"]


def test_a_write_outside_of_what_is_ours_is_found():
    story = Story()
    story.ask("west", "DELETE", "/api/v1/namespaces/prod/pods/other")
    assert story.broken == ["S9 not ours"]
