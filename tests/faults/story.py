"""Journals written by hand, for tests of the rules that are read from one."""

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
PODS = f"/api/v1/namespaces/{HOME}/pods"
NODE = {"fieldSelector": "spec.nodeName=n0"}
BOUND = ("Reserved", "Bound")


def stored(*true: str, reason: str = "", told: str = "", **status: Any) -> dict[str, Any]:
    """Return the claim as the hub has it: with these conditions true, Ready=False for a reason, told something."""
    conditions = [{"type": t, "status": "True", "reason": t, "message": ""} for t in true]
    if reason:
        conditions.append({"type": "Ready", "status": "False", "reason": reason, "message": ""})
    if told:
        conditions.append({"type": "Expiring", "status": "True", "reason": "Ends", "message": told})
    placements = [{"node": "n0", "gpus": 8}]
    return {
        "metadata": {"uid": UID, "resourceVersion": "7"},
        "status": {
            "conditions": conditions,
            "allocation": {"sequence": 1, "placements": placements},
            **status,
        },
    }


class Story:
    """A journal written by hand."""

    def __init__(self) -> None:
        self.journal = Journal()

    def ask(
        self, cluster: str, method: str, path: str, body: Any = None, answer: Any = None,
        status: int = 200, pid: int = 1, content_type: str = "", **query: str,
    ) -> Entry:  # fmt: skip
        target = target_of(method, path, content_type, query)
        entry = self.journal.note(cluster, target, query, pid, b"")
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

    def read_claim(self, claim: Any = None, pid: int = 1) -> None:
        self.ask("hub", "GET", CLAIM, answer=claim or stored("Releasing"), pid=pid)

    def look(self, items: tuple[Any, ...] = (), path: str = PODS, **query: str) -> Entry:
        return self.ask("west", "GET", path, answer={"items": list(items)}, **query)

    def shut_out(self, home: str = HOME) -> None:
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{home}/rolebindings/sublet-tenant"
        self.ask("west", "DELETE", rbac)

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
