"""From a node as the API shows it to a node as the book sees it. Pure.

`gpu.count`, `gpu.product` and `gpu.memory` are rewritten by MIG and by sharing, so labels are believed only where
allocatable GPUs agree with them: a node is sold as what it really is, or not at all. A GPU that is dead when its node
starts is in neither; of what the node's own book gives away it is missed all the same.
"""

import re
from collections.abc import Collection
from typing import Final

from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.ids import LeaseUID, NodeName, NodeUID, TenantUID
from sublet.api.times import Millis
from sublet.book.inventory import SICK, Holding, NodeState, Unfit
from sublet.fleet.health import is_ready, is_unhealthy, is_upgrading
from sublet.fleet.nodebook import (
    BOOK,
    GPU,
    LEASE_LABEL,
    LEAVING_TAINT,
    NODE,
    POOL_TAINT,
    SHARING,
    TENANT,
    UNWIPED,
    BookError,
    claims_leaving,
    parse_book,
    read_book,
)
from sublet.kube.wire import Node

MOST_GPUS: Final = 64
"""Of one node, by the API; a node that says that it has more isn't sold."""
_PREFIX: Final = "nvidia.com/"
_NEVER: Final = Millis(0)
_DIGITS: Final = 9
_ZONE: Final = "topology.kubernetes.io/zone"
_LABEL: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_CLIQUE: Final = re.compile(
    r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\.(0|[1-9][0-9]{0,9})"
)
"""As GPU feature discovery writes it; it leaves the label out where the GPUs of a node disagree."""
_NO_FABRIC: Final = "00000000-0000-0000-0000-000000000000."


def node_state(
    node: Node,
    lease: GpuLease,
    *,
    before: NodeState | None,
    foreign_pods: bool,
    in_doubt: bool = False,
    now_ms: Millis = _NEVER,
    steady_ms: int = 0,
    settle_ms: int = 0,
) -> NodeState:
    """Return what the book may know of a node of this lease.

    `before` is the same node's last state: a held node that shows 0 GPUs for a moment keeps its last count, since
    that is a driver restart and not a return. `foreign_pods`: pods that aren't a claim's were seen on its GPUs.
    `in_doubt`: its marks disagree with what claims have.
    `now_ms`: since when it counts as sick, if it wasn't before. `settle_ms`: for how long GPUs that came back must stay
    before a free node is sold again, on the monotonic clock, which says `steady_ms`.
    """
    labels = node.metadata.labels
    uid = NodeUID(node.metadata.uid)
    shown = _number(node.status.allocatable.get(GPU))
    gpus = shown if shown <= MOST_GPUS else 0
    holdings, book_error = _holdings(node)
    held = sum(h.gpus for h in holdings)
    fault = product_fault(node, lease.spec.products, shown, held)
    quarantined = Unfit.QUARANTINED if in_doubt else None
    unfit = book_error or quarantined or _unfit(node, lease, fault, foreign_pods=foreign_pods)
    before = before if before is not None and before.uid == uid else None
    if gpus == 0 and before is not None:
        gpus = before.gpus
    settles_ms = None
    if before is not None and unfit is not Unfit.GPUS_LOST:
        settles_ms = _settles(before, gpus, steady_ms, settle_ms)
    if unfit is None and settles_ms is not None and not holdings:
        unfit = Unfit.SETTLING
    # nobody knows since when a node has been sick that is so at first sight
    sick_since = before.sick_since_ms if before is not None else _NEVER
    return NodeState(
        name=NodeName(node.metadata.name),
        uid=uid,
        product=lease.spec.product,
        gpus=max(gpus, held),
        holdings=holdings,
        tenant_uid=_tenant(node),
        sharing=_sharing(node, lease.spec.node_sharing),
        unfit=unfit,
        memory_mib=_number(labels.get(_PREFIX + "gpu.memory")) or None,
        clique=_clique(labels.get(_PREFIX + "gpu.clique", "")),
        zone=zone if _LABEL.fullmatch(zone := labels.get(_ZONE, "")) else None,
        sick_since_ms=(now_ms if sick_since is None else sick_since) if unfit in SICK else None,
        settles_ms=settles_ms,
        is_ready=is_ready(node),
        shows=shown if fault is Unfit.GPUS_LOST else None,
    )


def _settles(before: NodeState, gpus: int, steady_ms: int, settle_ms: int) -> int | None:
    """Return until when a node is watched of whose GPUs some came back; None if it needn't be.

    Where all were away at once the device plugin was: those are as good as before.
    """
    if before.unfit is Unfit.GPUS_LOST and 0 < before.gpus < gpus:
        return steady_ms + settle_ms
    settles = before.settles_ms
    return settles if settles is not None and steady_ms < settles else None


def is_adopted(node: Node, lease_uid: LeaseUID) -> bool:
    """Say whether the node carries this lease's label, taint and book, and got them itself."""
    return (
        node.metadata.labels.get(LEASE_LABEL) == lease_uid
        and BOOK in node.metadata.annotations
        and not brings_marks(node)
        and any(
            t.key == POOL_TAINT and t.value == lease_uid and t.effect == "NoSchedule"
            for t in node.spec.taints
        )
    )


def brings_marks(node: Node) -> bool:
    """Say whether it carries the marks of an earlier node of its name, which are none of its own."""
    return node.metadata.annotations.get(NODE, node.metadata.uid) != node.metadata.uid


def product_fault(node: Node, products: Collection[str], gpus: int, held: int = 0) -> Unfit | None:
    """Say what about the GPUs themselves forbids selling them: labels, product, MIG, sharing, count.

    `held`: what its own book gives away, which was there when it was given.
    """
    labels = node.metadata.labels
    product = labels.get(_PREFIX + "gpu.product", "")
    count = _number(labels.get(_PREFIX + "gpu.count"))
    if not product or not count:
        return Unfit.GPUS_LOST if gpus < held else Unfit.LABELS_MISSING
    if labels.get(_PREFIX + "mig.strategy", "none") not in ("", "none") and _has_slices(
        node, product
    ):
        return Unfit.MIG
    shared = labels.get(_PREFIX + "gpu.sharing-strategy", "none") not in ("", "none")
    if (
        shared
        or product.endswith("-SHARED")
        or _number(labels.get(_PREFIX + "gpu.replicas", "1")) > 1
    ):
        return Unfit.SHARING
    if product not in products:
        return Unfit.WRONG_PRODUCT
    if gpus < max(count, held):
        return Unfit.GPUS_LOST
    return Unfit.COUNT_MISMATCH if gpus > count or gpus > MOST_GPUS else None


def _unfit(node: Node, lease: GpuLease, fault: Unfit | None, *, foreign_pods: bool) -> Unfit | None:
    """Return the first reason in the order of `Unfit`, None if the node can be sold; `fault`: that of its GPUs."""
    lease_uid = LeaseUID(lease.metadata.uid)
    owner = node.metadata.labels.get(LEASE_LABEL)
    checks = (
        (owner is not None and owner != lease_uid, Unfit.NODE_OVERLAP),
        (foreign_pods, Unfit.FOREIGN_PODS),
        # a driver that is being upgraded shows no GPUs, and that is no failure
        (fault is Unfit.GPUS_LOST and is_upgrading(node), Unfit.UPGRADING),
        (fault, fault),
        (not is_ready(node), Unfit.NOT_READY),
        (node.spec.unschedulable, Unfit.CORDONED),
        (is_unhealthy(node), Unfit.UNHEALTHY),
        (is_upgrading(node), Unfit.UPGRADING),
        (_is_left(node), Unfit.LEAVING),
        (UNWIPED in node.metadata.annotations, Unfit.NOT_WIPED),
        (not is_adopted(node, lease_uid), Unfit.NOT_ADOPTED),
    )
    return next((reason for failed, reason in checks if failed), None)


def _holdings(node: Node) -> tuple[tuple[Holding, ...], Unfit | None]:
    """Return the node's book; if it disagrees with the labels, everything either names is held."""
    labels, annotations = node.metadata.labels, node.metadata.annotations
    fault = None
    try:
        held = read_book(labels, annotations)
    except BookError:
        fault = Unfit.BOOK_UNREADABLE
        try:
            held = parse_book(annotations.get(BOOK, ""))
        except BookError:
            held = ()
    # more than any node has is no book, and would count against the lease without end
    return (held, fault) if sum(h.gpus for h in held) <= MOST_GPUS else ((), Unfit.BOOK_UNREADABLE)


def _is_left(node: Node) -> bool:
    """Say whether a claim is leaving it: given to that claim again, it would be of no use to it."""
    is_tainted = any(t.key == LEAVING_TAINT for t in node.spec.taints)
    return is_tainted or bool(claims_leaving(node.metadata.labels))


def _has_slices(node: Node, product: str) -> bool:
    single = "-MIG-" in product
    return single or any(key.startswith(_PREFIX + "mig-") for key in node.status.allocatable)


def _tenant(node: Node) -> TenantUID | None:
    text = node.metadata.annotations.get(TENANT)
    return TenantUID(text) if text else None


def _sharing(node: Node, default: NodeSharing) -> NodeSharing:
    text = node.metadata.annotations.get(SHARING)
    return NodeSharing(text) if text in set(NodeSharing) else default


def _clique(text: str) -> str | None:
    """Return an NVLink domain in one spelling; None where the label isn't `<cluster UUID>.<clique ID>`.

    Nodes whose NVLink ends inside them, such as HGX, all show a cluster UUID of zeros: no two of them are connected.
    """
    is_domain = _CLIQUE.fullmatch(text) and not text.startswith(_NO_FABRIC)
    return text.lower() if is_domain else None


def _number(text: str | None) -> int:
    """Return a count; 0 for what is none, in other digits, or longer than any."""
    is_count = text is not None and text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    return int(text) if text is not None and is_count else 0
