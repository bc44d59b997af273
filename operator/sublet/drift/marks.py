"""What a node's own book and marks should say, by the claims that have it, against what they say. Pure.

Put back is what is gone. What is there and says something else is in doubt: such a node is quarantined, never sold and
never written, until it agrees again or a person has looked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.book.inventory import Holding
from sublet.fleet.nodebook import (
    BOOK,
    CLAIM_LABEL,
    GPU,
    HELD,
    LEASE_LABEL,
    NODE,
    POOL_TAINT,
    SHARING,
    TENANT,
    BookError,
    format_book,
    parse_book,
)
from sublet.kube.session import JsonPatch
from sublet.kube.wire import Node


@dataclass(frozen=True, slots=True)
class Holder:
    """A claim that, by the hub, has a node."""

    claim_uid: ClaimUID
    gpus: int
    tenant_uid: TenantUID
    lease_uid: LeaseUID
    """By which it has the node: another lease of the cluster may show it, too."""
    is_bound: bool
    """Its entry must be in the book; of one that comes or goes it may be."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about one node."""

    patches: tuple[JsonPatch, ...] = ()
    """In this order: the belt allows the lease's marks and the book's to change one after the other only."""
    doubt: str = ""
    """Why nothing is put back by itself."""
    strangers: frozenset[ClaimUID] = frozenset()
    """Claims that it names and that, by the hub, don't have it."""
    relocks: bool = False
    """A claim's entry or the lease's mark was gone: its pods must be looked at before it is put back."""


_FINE: Final = Verdict()


def judge(node: Node, lease: GpuLease, holders: Collection[Holder]) -> Verdict:
    """Compare one node with the claims that have it."""
    labels, annotations = node.metadata.labels, node.metadata.annotations
    known = {h.claim_uid: h for h in holders}
    owner, uid = labels.get(LEASE_LABEL), lease.metadata.uid
    labelled = {ClaimUID(k.removeprefix(CLAIM_LABEL)) for k in labels if k.startswith(CLAIM_LABEL)}
    if owner not in (None, uid):
        is_missed = any(h.is_bound and h.lease_uid == uid for h in holders)
        return Verdict(doubt="another lease's label is on it") if is_missed else _FINE
    try:
        entries = {h.claim_uid: h.gpus for h in parse_book(annotations.get(BOOK, ""))}
    except BookError:
        entries = {}
        if not known:
            return Verdict(doubt="its book can't be read, and no claim has it")
    named = labelled | entries.keys()
    if strangers := frozenset(named - known.keys()):
        return Verdict(doubt="it names claims that don't have it", strangers=strangers)
    # another lease's claim gets the marks back by that one: under this one's it would be in doubt
    is_ours = owner == uid or any(h.lease_uid == uid for h in holders)
    if not known or not is_ours:
        return _freed(node, lease) if is_ours else _FINE
    wanted = _entries(known, entries, named)
    if doubt := _doubt(node, uid, known, wanted):
        return Verdict(doubt=doubt)
    patches = (_lease_patch(node, uid), _book_patch(node, lease, known, wanted, labelled))
    gone = owner is None or any(entries.get(u) != g for u, g in wanted.items())
    return Verdict(patches=tuple(p for p in patches if p), relocks=gone)


def _entries(
    known: Mapping[ClaimUID, Holder], entries: Mapping[ClaimUID, int], named: Collection[ClaimUID]
) -> dict[ClaimUID, int]:
    """Return the book as it should be: what bound claims have, and of the others what is there."""
    kept = {u: g if not known[u].is_bound else known[u].gpus for u, g in entries.items()}
    kept |= {u: h.gpus for u, h in known.items() if h.is_bound}
    return kept | {u: known[u].gpus for u in named if u not in kept}


def _doubt(
    node: Node, uid: str, known: Mapping[ClaimUID, Holder], wanted: Mapping[ClaimUID, int]
) -> str:
    """Say what is there and says something else."""
    labels, pools = node.metadata.labels, _pools(node)
    if pools and uid not in pools:
        return f"its {POOL_TAINT} taint is another's"
    if any(h.is_bound and labels.get(CLAIM_LABEL + u, HELD) != HELD for u, h in known.items()):
        return "no pod of a claim that has it can start there: the claim's label has another value"
    return _doubt_of_sharing(node.metadata.annotations, [known[u].tenant_uid for u in wanted])


def _doubt_of_sharing(annotations: Mapping[str, str], holders: Collection[TenantUID]) -> str:
    """Say why those who hold a node can't all have it by what it says of sharing; `holders`: the tenant of each claim."""
    sharing, tenant, tenants = annotations.get(SHARING), annotations.get(TENANT), {*holders}
    if sharing is not None and sharing not in set(NodeSharing):
        return f"its {SHARING} says {sharing[:32]!r}"
    if sharing == NodeSharing.NONE and len(holders) > 1:
        return f"its {SHARING} says None, but several claims have it"
    if sharing != NodeSharing.ANY_TENANT and len(tenants) > 1 and sharing is not None:
        return f"its {SHARING} says {sharing}, but several tenants have it"
    if (
        tenant is not None
        and sharing != NodeSharing.ANY_TENANT
        and tenants
        and tenant not in tenants
    ):
        return f"its {TENANT} names another tenant"
    return ""


def _lease_patch(node: Node, uid: str) -> JsonPatch:
    """Return what puts the lease's label and taint back, the book as it is."""
    is_labelled = LEASE_LABEL in node.metadata.labels
    is_tainted = uid in _pools(node)
    if is_labelled and is_tainted:
        return []
    patch = [*_tests(node), {"op": "add", "path": pointer("labels", LEASE_LABEL), "value": uid}]
    if is_tainted:
        return patch
    taint = {"key": POOL_TAINT, "value": uid, "effect": "NoSchedule"}
    if node.spec.taints:
        return [*patch, {"op": "add", "path": "/spec/taints/-", "value": taint}]
    return [
        *patch,
        {"op": "test", "path": "/spec/taints", "value": None},
        {"op": "add", "path": "/spec/taints", "value": [taint]},
    ]


def _pools(node: Node) -> set[str]:
    """Return the leases that its pool taint names; a second taint of this key and effect no server takes."""
    taints = node.spec.taints
    return {t.value for t in taints if t.key == POOL_TAINT and t.effect == "NoSchedule"}


def _book_patch(
    node: Node,
    lease: GpuLease,
    known: Mapping[ClaimUID, Holder],
    wanted: Mapping[ClaimUID, int],
    labelled: Collection[ClaimUID],
) -> JsonPatch:
    """Return what puts book, claim labels, sharing and tenant back, [] if they are as they should be."""
    annotations = node.metadata.annotations
    marks: dict[str, str] = {}
    if {*parse_or_none(annotations.get(BOOK))} != {Holding(u, g) for u, g in wanted.items()}:
        marks[BOOK] = format_book(Holding(u, g) for u, g in wanted.items())
    if SHARING not in annotations:
        marks[SHARING] = lease.spec.node_sharing.value
    if annotations.get(NODE) != node.metadata.uid:
        marks[NODE] = node.metadata.uid
    sharing = marks.get(SHARING, annotations.get(SHARING))
    tenants = {known[u].tenant_uid for u in wanted}
    if (
        wanted
        and sharing != NodeSharing.ANY_TENANT
        and TENANT not in annotations
        and len(tenants) == 1
    ):
        marks[TENANT] = next(iter(tenants))
    missing = sorted(wanted.keys() - {*labelled})
    if not marks and not missing:
        return []
    if not _fits(node, wanted, marks):
        return []  # a driver that restarts shows no GPUs for a moment: later
    patch = _tests(node)
    patch.append(
        {"op": "test", "path": pointer("labels", LEASE_LABEL), "value": lease.metadata.uid}
    )
    patch += [
        {"op": "add", "path": pointer("annotations", k), "value": v} for k, v in marks.items()
    ]
    patch += [
        {"op": "add", "path": pointer("labels", CLAIM_LABEL + u), "value": HELD} for u in missing
    ]
    return patch


def _freed(node: Node, lease: GpuLease) -> Verdict:
    """Give a free node the lease's sharing; what else it lacks is adoption's business."""
    annotations, wanted = node.metadata.annotations, lease.spec.node_sharing.value
    if annotations.get(BOOK) != "" or annotations.get(SHARING) == wanted:
        return _FINE
    patch = [*_tests(node), {"op": "add", "path": pointer("annotations", SHARING), "value": wanted}]
    return Verdict(patches=(patch,))


def _fits(node: Node, wanted: Mapping[ClaimUID, int], marks: Mapping[str, str]) -> bool:
    shown = node.status.allocatable.get(GPU, "")
    there = int(shown) if shown.isdecimal() else 0
    return BOOK not in marks or sum(wanted.values()) <= there


def parse_or_none(text: str | None) -> tuple[Holding | None, ...]:
    """Return a book's entries; one that can't be read, or isn't there, is like no book."""
    try:
        return parse_book(text) if text is not None else (None,)
    except BookError:
        return (None,)


def _tests(node: Node) -> list[dict[str, Any]]:
    """Return the tests under which anything is written: this very node, its book as it was read."""
    return [
        {"op": "test", "path": "/metadata/uid", "value": node.metadata.uid},
        {
            "op": "test",
            "path": pointer("annotations", BOOK),
            "value": node.metadata.annotations.get(BOOK),
        },
    ]


def pointer(section: str, key: str) -> str:
    """Return the JSON pointer of a label or an annotation."""
    return f"/metadata/{section}/" + key.replace("~", "~0").replace("/", "~1")
