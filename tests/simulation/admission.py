"""The admission that the operator's steps rely on, written out: policies, quota, the hub's mutations and fence.

Each mirrors one file of operator/sublet/manifests; the files themselves are tried on real planes elsewhere.
"""

import re
from typing import TYPE_CHECKING, Final

from tests.simulation.answers import Refused, User

if TYPE_CHECKING:
    from tests.simulation.server import Server
    from tests.simulation.store import Key, Object

GPU: Final = "nvidia.com/gpu"
_ENTRY: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}=[1-9][0-9]{0,3}")
_CLAIM_NAMESPACE: Final = re.compile(r"sublet-[0-9a-f-]{36}-[0-9]+")
_LABEL: Final = "claim.sublet.dev/"


def create(server: "Server", key: "Key", body: "Object", user: User) -> None:
    """Admit what is made, and change it as the mutating policies do."""
    if key.resource == "gpuclaims":
        _stamp(body, user)
    if key.resource == "pods" and _CLAIM_NAMESPACE.fullmatch(key.namespace):
        _claim_pod(key, body)
        _quota(server, key, body)


def update(server: "Server", key: "Key", live: "Object", wanted: "Object") -> None:
    """Admit a change."""
    if key.resource == "gpuclaims" and live["spec"] != wanted["spec"]:
        _ended(live)
    if key.resource == "nodes" and server.belt:
        _node_invariants(key, live, wanted)
    if key.resource == "secrets" and server.name == "hub":
        _hub_secret(key, live, wanted)


def _stamp(body: "Object", user: User) -> None:
    """hub/mutating.yaml: the release finalizer and who asked, at creation."""
    meta = body["metadata"]
    finalizers = meta.setdefault("finalizers", [])
    if "sublet.dev/release" not in finalizers:
        finalizers.append("sublet.dev/release")
    meta["annotations"] = {
        **(meta.get("annotations") or {}),
        "sublet.dev/requested-by": user.name,
    }


def _ended(live: "Object") -> None:
    """crds/sublet.dev_gpuclaims.yaml: the rule on claims that have ended."""
    conditions = (live.get("status") or {}).get("conditions", ())
    if any(c["type"] == "Ended" and c["status"] == "True" for c in conditions):
        raise Refused(422, "Invalid", "this claim has ended for good; delete it and make a new one")


def _claim_pod(key: "Key", body: "Object") -> None:
    """leased/claim-pods.yaml: of its rules the one that the operator tries."""
    if body["spec"].get("schedulerName", "default-scheduler") != "default-scheduler":
        raise _denied("sublet-claim-pods", "only the default scheduler is allowed", key)


def _quota(server: "Server", key: "Key", body: "Object") -> None:
    """Plugin ResourceQuota: enforces status.hard, and nothing while that is empty."""
    quota = server.store.get("resourcequotas", key.namespace, "sublet")
    hard = ((quota or {}).get("status") or {}).get("hard") or {}
    limit = hard.get(f"requests.{GPU}")
    if limit is None:
        return
    used = sum(gpus_of(p) for p in server.store.all("pods", key.namespace))
    if used + gpus_of(body) > int(limit):
        raise Refused(403, "Forbidden", f"exceeded quota: sublet, used {used}, limited {limit}")


def gpus_of(pod: "Object") -> int:
    """Return the GPUs that a pod asks for."""
    every = [c.get("resources", {}).get("limits", {}) for c in pod["spec"]["containers"]]
    return sum(int(limits.get(GPU, 0)) for limits in every)


def _hub_secret(key: "Key", live: "Object", wanted: "Object") -> None:
    """hub/secrets.yaml and the immutable type (core/validation ValidateSecretUpdate)."""
    if live.get("type") != wanted.get("type"):
        raise Refused(422, "Invalid", "type: Invalid value: field is immutable")
    owners = {r["uid"] for r in live["metadata"].get("ownerReferences", ())}
    if any(r["uid"] not in owners for r in wanted["metadata"].get("ownerReferences", ())):
        raise _denied("sublet-hub-fence", "the Secret keeps its claim", key)


def _denied(policy: str, message: str, key: "Key") -> Refused:
    text = (
        f'{key.resource} "{key.name}" is forbidden: '
        f"ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: {message}"
    )
    return Refused(403, "Forbidden", text)


def _node_invariants(key: "Key", live: "Object", wanted: "Object") -> None:
    """leased/node-invariants.yaml, the belt: rule by rule in its order."""
    old, new = _Book(live), _Book(wanted)
    if (old.text, old.claims, old.lease, old.sharing, old.tenant) == (
        new.text,
        new.claims,
        new.lease,
        new.sharing,
        new.tenant,
    ):
        return
    taken_off = all(e in old.entries for e in new.entries)
    parted = new.entries and old.entries
    moved = new.lease != old.lease
    free = not new.entries
    rules = (
        (all(_ENTRY.fullmatch(e) for e in new.entries), "sublet.dev/allocation is malformed"),
        (new.named == sorted(new.claims), "sublet.dev/allocation and the claim labels differ"),
        (
            taken_off or new.held <= new.gpus,
            f"more GPUs claimed than the node has: {new.text}",
        ),
        (
            new.sharing in ("None", "SameTenant", "AnyTenant")
            or (new.sharing == "" and free)
            or (taken_off and new.sharing == old.sharing),
            "sublet.dev/sharing must be None, SameTenant or AnyTenant",
        ),
        (new.sharing == old.sharing or not parted, "sublet.dev/sharing may change only while free"),
        (
            new.sharing in ("SameTenant", "AnyTenant") or len(new.entries) <= 1 or taken_off,
            "this node may hold one claim",
        ),
        (
            new.sharing == "AnyTenant" or not parted or new.tenant == old.tenant,
            "this node is held by another tenant",
        ),
        (
            new.tenant == ""
            if free
            else (new.sharing == "AnyTenant" or new.tenant != "" or taken_off),
            "sublet.dev/tenant must name the tenant while the node is held, and be off when it is free",
        ),
        (
            not moved or ("" in (new.lease, old.lease) and free and not old.entries),
            "this node belongs to another lease or is held by a claim",
        ),
        (free or new.lease != "" or taken_off, "a claim needs a node with a lease"),
        (
            not moved or new.pools == ([new.lease] if new.lease else []),
            "lease label and pool taint come and go together",
        ),
    )
    for holds, message in rules:
        if not holds:
            raise _denied("sublet-node-invariants", message, key)


class _Book:
    """What the belt reads of a node."""

    def __init__(self, node: "Object") -> None:
        labels = node["metadata"].get("labels") or {}
        notes = node["metadata"].get("annotations") or {}
        self.text = notes.get("sublet.dev/allocation", "")
        self.entries = [e for e in self.text.split(",") if e]
        self.claims = {k.removeprefix(_LABEL) for k in labels if k.startswith(_LABEL)}
        self.lease = labels.get("sublet.dev/lease", "")
        self.sharing = notes.get("sublet.dev/sharing", "")
        self.tenant = notes.get("sublet.dev/tenant", "")
        taints = node.get("spec", {}).get("taints") or []
        self.pools = [t.get("value", "") for t in taints if t["key"] == "sublet.dev/pool"]
        self.gpus = int(node.get("status", {}).get("allocatable", {}).get(GPU, "0"))

    @property
    def named(self) -> list[str]:
        """Return the claims that the book names."""
        return sorted(e.split("=")[0] for e in self.entries)

    @property
    def held(self) -> int:
        """Return the GPUs that the book gives away."""
        return sum(int(e.split("=")[1]) for e in self.entries if _ENTRY.fullmatch(e))
