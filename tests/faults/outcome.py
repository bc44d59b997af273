"""What a workload ends in, without what differs between runs: read by a separate reader, compared with a fault-free run.

UIDs become the names of what they stand for, instants go, and nodes are told apart by what is on them and not by name, since
which of two equal nodes a claim gets is nobody's promise.
"""

import base64
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from sublet.api.kinds import CLAIMS, LEASES
from tests.faults.hand import ACME, LEASED
from tests.faults.journal import Entry, masked
from tests.faults.world import World

Outcome = dict[str, Any]
_INSIDE: Final = {
    "resourcequotas": "/api/v1/resourcequotas",
    "limitranges": "/api/v1/limitranges",
    "serviceaccounts": "/api/v1/serviceaccounts",
    "networkpolicies": "/apis/networking.k8s.io/v1/networkpolicies",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
}
_PROBE: Final = "sublet-00000000-"
_TRACES: Final = {("AccessRenewed", "True"), ("Expiring", "False")}
"""What a claim says of something that is over, and that a run without the fault may never have had."""
_SLACK: Final = 3
"""So many more patches of one object than twice those of the reference: a repeated protocol, no loop."""
_REPEATS: Final = 12
"""So often a protocol that begins anew while something is away may apply what stands there already, which changes nothing."""


async def read_outcome(world: World) -> Outcome:
    """Read everything that a run may leave, on all planes and in the ledger."""
    claims = [
        c
        for c in await world.items("hub", CLAIMS.path(ACME))
        if world.is_ours(c["metadata"]["name"])
    ]
    found: Outcome = {
        "claims": _by_name(claims),
        "secrets": await _secrets(world),
        "leases": {
            masked(x["metadata"]["name"]): _lease(x)
            for x in await world.items("hub", LEASES.path())
        },
        "ledger": lines(world),
    }
    for plane in LEASED:
        found[f"{plane} nodes"] = sorted(
            _node(world, n) for n in await world.items(plane, "/api/v1/nodes")
        )
        found[f"{plane} namespaces"] = await _namespaces(world, plane)
    return found


def differences(wanted: Any, seen: Any, where: str = "") -> list[str]:
    """Return where an outcome differs from the reference, one line each."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        keys = sorted({*wanted, *seen})
        return [d for k in keys for d in differences(wanted.get(k), seen.get(k), f"{where}/{k}")]
    return [] if wanted == seen else [f"{where}: {seen!r}, without the fault {wanted!r}"]


def is_difference(fault: str) -> bool:
    """Say whether a fault of a plan is a line of `differences`."""
    return fault.startswith("/")


def lines(world: World) -> dict[str, list[str]]:
    """Return the ledger's lines of each claim of this run, as text without instants.

    When a node was seen not to work, and so how often, depends on who looked when.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for uid, kind, type_, sequence, gpus, _ in ledger_rows(world):
        if kind != "downtime":
            found[world.seen[uid]].append(f"{kind} {type_} {sequence} {gpus}")
    return {name: sorted(each) for name, each in found.items()}


def ledger_rows(world: World) -> list[tuple[str, str, str, int, int, int]]:
    """Return (claim UID, kind, type, sequence, GPUs, at in ms) of the claims that this run made, in ledger order."""
    database = sqlite3.connect(f"file:{world.database}?mode=ro", uri=True, timeout=10)
    marks = ",".join("?" * len(world.seen))
    select = f"SELECT claim_uid, kind, type, sequence, gpus, at_ms FROM entries WHERE claim_uid IN ({marks}) ORDER BY seq"
    try:
        return list(database.execute(select, list(world.seen)))
    finally:
        database.close()


def ledger_faults(
    rows: Iterable[tuple[str, str, str, int, int, int]], claims: Mapping[str, Any]
) -> list[str]:
    """Return what is wrong with instants: intervals that don't meet, or don't begin where the claim says, to the millisecond."""
    at: dict[tuple[str, int, str, str], set[int]] = defaultdict(set)
    count: Counter[tuple[str, int, str, str, int]] = Counter()
    for uid, kind, type_, sequence, gpus, at_ms in rows:
        at[uid, sequence, kind, type_].add(at_ms)
        count[uid, sequence, kind, type_, gpus] += 1
    faults = []
    for (uid, sequence, kind, type_), instants in at.items():
        if len(instants) > 1 and kind != "downtime":
            faults.append(f"{kind} {type_} of {uid}/{sequence} has {len(instants)} instants")
        opened = at.get((uid, sequence, kind, "open"), set())
        if type_ == "close" and (not opened or min(instants) < min(opened)):
            faults.append(f"{kind} of {uid}/{sequence} closes before it opens")
    for (uid, sequence, kind, type_), instants in at.items():
        if (kind, type_) == ("bound", "close") and at.get(
            (uid, sequence, "releasing", "open")
        ) != instants:
            faults.append(f"releasing of {uid}/{sequence} doesn't begin where bound ends")
    return faults + _against_claims(at, claims)


def _against_claims(
    at: Mapping[tuple[str, int, str, str], set[int]], claims: Mapping[str, Any]
) -> list[str]:
    faults = []
    for uid, bound_ms in claims.items():
        said = {
            t
            for (u, _, kind, type_), ts in at.items()
            if (u, kind, type_) == (uid, "bound", "open")
            for t in ts
        }
        if bound_ms not in said:
            faults.append(f"claim {uid} says bound at {bound_ms}, the ledger {sorted(said)}")
    return faults


def count_faults(
    references: Iterable[Iterable[Entry]],
    seen: Iterable[Entry],
    *,
    operators: int = 1,
    leases_tell: int = 0,
) -> list[str]:
    """Return objects that were made or deleted more often than in any run without the fault, or written in a loop.

    So many operators were at work at once: each may write as often as one, since one whose view of claims is behind undoes what the
    other says of a lease until it has caught up, and each takes away what it finds. `leases_tell`: so often a cluster fell
    silent, or an operator started, which sells nothing before it has seen each cluster for itself: leases that are usually left
    alone say so, too.
    """
    before: Counter[tuple[str, str]] = Counter()
    for each in references:
        before |= _counts(each)
    faults = []
    for (what, verb), count in sorted(_counts(seen).items()):
        usual = before[what, verb]
        if what.startswith("hub gpuleases"):
            usual = max(usual, leases_tell)
        # the HTTP client sends a deletion again whose connection was cut; it carries the UID
        others = {"create": usual, "delete": operators * usual + 1, "apply again": usual + _REPEATS}
        most = others.get(verb, operators * (2 * usual + _SLACK))
        if count > most:
            faults.append(f"{what}: {count} x {verb}, without the fault {usual}")
    return faults


def _counts(entries: Iterable[Entry]) -> Counter[tuple[str, str]]:
    """Count what was done by object and kind of write."""
    found: Counter[tuple[str, str]] = Counter()
    versions: dict[str, str] = {}  # object -> resourceVersion as it was last answered
    for entry in entries:
        target = entry.target
        if not entry.is_write or not entry.is_done or target.subresource == "token":
            continue
        before, version = versions.get(entry.object), _version(entry)
        versions[entry.object] = version
        made = target.verb == "create" or (target.verb == "apply" and entry.status == 201)
        verb = "create" if made else "delete" if target.verb == "delete" else "change"
        if target.verb == "apply" and version and version == before:
            verb = "apply again"
        found[
            masked(entry.object) if target.resource != "nodes" else f"{entry.cluster} node", verb
        ] += 1
    return found


def _version(entry: Entry) -> str:
    answer = entry.answer if isinstance(entry.answer, dict) else {}
    return str(answer.get("metadata", {}).get("resourceVersion", ""))


def _by_name(claims: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what is to be compared of claims; those that are alike in the order of what became of them."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in claims:
        found[masked(each["metadata"]["name"])].append(claim_outcome(each))
    alike = {name: sorted(each, key=str) for name, each in found.items()}
    return {
        f"{name} {i}".removesuffix(" 0"): c for name, cs in alike.items() for i, c in enumerate(cs)
    }


def claim_outcome(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a run left of a claim.

    Of one that was released, what ended it and not what was told before: nobody tells an end that comes while the operator is away.
    """
    status = body.get("status", {})
    allocation, access = status.get("allocation", {}), status.get("access", {})
    return {
        "conditions": {
            c["type"]: f"{c['status']} {c['reason']}"
            for c in status.get("conditions", [])
            if (c["type"], c["status"]) not in _TRACES
        },
        "sequence": allocation.get("sequence"),
        "gpus": sorted((masked(p["lease"]), p["gpus"]) for p in allocation.get("placements", [])),
        "price": allocation.get("pricePerGpuHour"),
        "until": None if "release" in status else allocation.get("untilCause"),
        "release": status.get("release", {}).get("cause"),
        "leaving": len(status.get("leaving", [])),
        "moving": "move" in status,
        "access": sorted((masked(c["alias"]), masked(c["namespace"])) for c in access.get("clusters", [])),
        "finalizers": sorted(body["metadata"].get("finalizers", [])),
        "deleted": "deletionTimestamp" in body["metadata"],
        "current": status.get("observedGeneration") == body["metadata"]["generation"],
    }  # fmt: skip


def _lease(body: dict[str, Any]) -> dict[str, Any]:
    status = body.get("status", {})
    counts = status.get("inventory", {})
    return {
        "conditions": {
            c["type"]: f"{c['status']} {c['reason']}" for c in status.get("conditions", [])
        },
        "counts": {
            k: counts.get(k)
            for k in ("committed", "delivered", "healthy", "reserved", "bound", "free")
        },
        "unsellable": counts.get("unsellable", []),
    }


def _node(world: World, body: dict[str, Any]) -> str:
    """Return what of ours is on a node, as one text."""
    meta = body["metadata"]
    labels = {k: v for k, v in meta.get("labels", {}).items() if "sublet.dev" in k}
    notes = {k: v for k, v in meta.get("annotations", {}).items() if "sublet.dev" in k}
    taints = [t["key"] for t in body["spec"].get("taints", []) if "sublet.dev" in t["key"]]
    return _named(world, f"{sorted(labels.items())} {sorted(notes.items())} {sorted(taints)}")


async def _namespaces(world: World, plane: str) -> dict[str, Any]:
    found = await world.items(plane, "/api/v1/namespaces", labelSelector="sublet.dev/claim")
    live = [n["metadata"] for n in found if "deletionTimestamp" not in n["metadata"]]
    names = {m["name"]: m for m in live if not m["name"].startswith(_PROBE)}
    if not names:
        return {}
    inside: dict[str, list[str]] = {
        name: [_named(world, str(sorted(m["labels"].items())))] for name, m in names.items()
    }
    for kind, path in _INSIDE.items():
        for each in await world.items(plane, path):
            meta = each["metadata"]
            if meta["namespace"] in names and meta["name"] != "default":
                inside[meta["namespace"]].append(
                    f"{kind}/{meta['name']} {each.get('spec', {}).get('hard', '')}"
                )
    return {_named(world, name): sorted(each) for name, each in inside.items()}


async def _secrets(world: World) -> dict[str, Any]:
    secrets = await world.items(
        "hub", f"/api/v1/namespaces/{ACME}/secrets", fieldSelector="type=sublet.dev/kubeconfig"
    )
    found = {}
    for each in secrets:
        config = yaml.safe_load(base64.b64decode(each["data"]["value"]))
        owner = each["metadata"]["ownerReferences"][0]["uid"]
        if owner in world.seen:  # of an earlier run: the garbage collector is at it
            found[masked(each["metadata"]["name"])] = {
                "owner": world.seen[owner],
                "contexts": sorted((masked(c["name"]), _named(world, c["context"]["namespace"])) for c in config["contexts"]),
            }  # fmt: skip
    return found


def _named(world: World, text: str) -> str:
    """Put names in the place of UIDs."""
    for uid, name in world.seen.items():
        text = text.replace(uid, f"<{name}>")
    return masked(re.sub(r"'sublet.dev/lease', '[^']*'", "'sublet.dev/lease', ''", text))
