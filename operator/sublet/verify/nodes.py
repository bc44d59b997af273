"""Nothing is sold twice, as each node's own book has it: S1 to S3, S6. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import NodeSharing
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.fleet.nodebook import BOOK, CLAIM_LABEL, SHARING, TENANT, BookError, parse_book
from sublet.verify.index import Index, about
from sublet.verify.violation import Violation
from sublet.verify.world import NodeKey, NodeSeen

_SELL_NOTHING = "sell nothing of it until somebody has looked"


def books_are_sound(index: Index) -> Iterator[Violation]:
    """S1: a book is well formed, names no claim twice, and its entries are its claim labels (one patch writes both)."""
    for cluster, node in index.nodes.values():
        subject = f"node {cluster.name}/{node.name}"
        try:
            named = {h.claim_uid for h in parse_book(node.book or "")}
        except BookError as error:
            yield Violation("S1", subject, f"{error}; {_SELL_NOTHING}")
            continue
        for uid in sorted(named ^ node.claim_labels):
            there, missing = (
                (f"the entry in {BOOK}", f"the label {CLAIM_LABEL}{uid}")
                if uid in named
                else (f"the label {CLAIM_LABEL}{uid}", f"its entry in {BOOK}")
            )
            text = f"claim {uid} has {there} without {missing}; {_SELL_NOTHING}"
            yield Violation("S1", subject, text)


def nodes_are_not_oversold(index: Index) -> Iterator[Violation]:
    """S3: claims on one node are within its GPUs; one that loses a GPU under its claims was not oversold."""
    for uid, book in index.books.items():
        cluster, node = index.nodes[uid]
        if _is_oversold(node, [h.gpus for h in book]):
            text = f"{sum(h.gpus for h in book)} GPUs are given away of {node.gpus}: {node.book}; end one of the claims"
            yield Violation("S3", f"node {cluster.name}/{node.name}", text)


def _is_oversold(node: NodeSeen, parts: list[int]) -> bool:
    return node.is_steady and len(parts) > 1 and 0 < node.gpus < sum(parts)


def nodes_are_shared_as_sold(index: Index) -> Iterator[Violation]:
    """S1: None is one claim a node, SameTenant is one tenant, and the node names that tenant.

    Where the mark is missing, as on a cluster that was restored, or unknown, nobody can tell who may be there: a lease
    may have been changed since it sold the node.
    """
    for uid, book in index.books.items():
        cluster, node = index.nodes[uid]
        if not book or node.sharing == NodeSharing.ANY_TENANT:
            continue
        subject, uids = f"node {cluster.name}/{node.name}", [h.claim_uid for h in book]
        if node.sharing not in set(NodeSharing):
            what = (
                "is missing"
                if node.sharing is None
                else f"says {node.sharing[:32]!r}, which is unknown"
            )
            text = f"{SHARING} {what}; set it to what the node was sold as, and end none of its claims for that"
            yield Violation("S1", subject, text, about(*uids))
            continue
        if node.sharing == NodeSharing.NONE and len(book) > 1:
            text = f"{len(book)} claims are on a node that isn't shared: {node.book}; end all but one of them"
            yield Violation("S1", subject, text)
        yield from _one_tenant(index, node, subject, uids)


def _one_tenant(
    index: Index, node: NodeSeen, subject: str, uids: list[ClaimUID]
) -> Iterator[Violation]:
    tenants: dict[str, ClaimUID] = {}  # tenant UID -> one of its claims
    for uid in uids:
        claim = index.claims.get(uid)
        if claim is not None and claim.status.allocation is not None:
            tenants.setdefault(claim.status.allocation.tenant_uid, uid)
    if len(tenants) > 1:
        text = f"claims of {len(tenants)} tenants are on it: {node.book}; end all but one tenant's"
        yield Violation("S1", subject, text, about(*tenants.values()))
    elif tenants and node.tenant_uid not in tenants:
        text = (
            f"{TENANT} is {node.tenant_uid or 'missing'}, but its claims are tenant {min(tenants)}'s: "
            f"set it to that; another tenant could be let in"
        )
        yield Violation("S1", subject, text, about(*tenants.values()))


def bound_claims_have_their_locks(index: Index) -> Iterator[Violation]:
    """S1: every node of a Bound claim has its entry, with as many GPUs; a node that is gone or made anew has none."""
    for claim in index.bound():
        allocation, move = claim.status.allocation, claim.status.move
        ready = move.placements if move is not None and move.ready_time is not None else ()
        for place in (*(allocation.placements if allocation else ()), *ready):
            key = index.key_of(place)
            if key is None or key not in index.books:
                continue
            cluster, node = index.nodes[key]
            entries = {h.claim_uid: h.gpus for h in index.books[key]}
            found = entries.get(ClaimUID(claim.metadata.uid), 0)
            if found != place.gpus:
                text = (
                    f"{BOOK} gives claim {claim.metadata.key} {found} GPUs, but it is bound to {place.gpus}; "
                    "put the entry and its label back, or end the claim"
                )
                yield Violation("S1", f"node {cluster.name}/{node.name}", text, about(claim))


def bound_claims_share_no_gpus(index: Index) -> Iterator[Violation]:
    """S1: on the hub alone, two claims are never Bound to the same GPUs."""
    bound: dict[NodeKey | None, list[tuple[GpuClaim, int]]] = defaultdict(list)
    for claim in index.bound():
        for place in claim.status.allocation.placements if claim.status.allocation else ():
            bound[index.key_of(place)].append((claim, place.gpus))
    for key, holders in bound.items():
        if key is None or key not in index.nodes or len(holders) <= 1:
            continue
        cluster, node = index.nodes[key]
        total = sum(gpus for _, gpus in holders)
        if node.sharing == NodeSharing.NONE or _is_oversold(node, [gpus for _, gpus in holders]):
            keys = ", ".join(sorted(c.metadata.key for c, _ in holders))
            text = f"{keys} are bound to {total} GPUs of {node.gpus} there; end all but one of them"
            subject = f"node {cluster.name}/{node.name}"
            yield Violation("S1", subject, text, about(*(c for c, _ in holders)))


def bound_nodes_are_fenced(index: Index) -> Iterator[Violation]:
    """S4: every node of a Bound claim has its lease's label and pool taint, or anybody's pods may land there."""
    for claim in index.bound():
        for place in claim.status.allocation.placements if claim.status.allocation else ():
            key = index.key_of(place)
            if key is None or key not in index.nodes:
                continue
            cluster, node = index.nodes[key]
            missing = [
                what
                for what, found in (
                    ("label sublet.dev/lease", node.lease_uid),
                    ("taint sublet.dev/pool", node.pool),
                )
                if found != LeaseUID(place.lease_uid)
            ]
            if missing:
                text = (
                    f"claim {claim.metadata.key} is bound to it, but its {' and '.join(missing)} "
                    f"isn't {place.lease_uid}; put it back, and look what ran there meanwhile"
                )
                yield Violation("S4", f"node {cluster.name}/{node.name}", text, about(claim))


def pods_run_on_their_claims_nodes(index: Index) -> Iterator[Violation]:
    """S6: a pod of a claim namespace is on a node whose book names that claim: no node goes free under a pod."""
    for cluster in index.world.clusters:
        by_name = {n.name: n for n in cluster.nodes or ()}
        owners = {n.name: n.claim_uid for n in cluster.namespaces or ()}
        for pod in cluster.pods or ():
            owner = owners.get(pod.namespace) or claim_of(pod.namespace)
            node = by_name.get(pod.node)
            book = index.books.get((cluster.uid, node.uid)) if node is not None else None
            if node is None or owner is None or book is None:
                continue
            if owner not in {h.claim_uid for h in book}:
                text = (
                    f"the pod runs on node {node.name}, whose book doesn't name claim {owner}; "
                    "end the pod before the node is sold"
                )
                subject = f"pod {cluster.name}/{pod.namespace}/{pod.name}"
                yield Violation("S6", subject, text, about(owner))


def claim_of(namespace: str) -> ClaimUID | None:
    """Return the claim whose namespace is called so, None if it is no claim's."""
    parts = namespace.removeprefix("sublet-").rsplit("-", 1)
    return ClaimUID(parts[0]) if namespace.startswith("sublet-") and len(parts) > 1 else None
