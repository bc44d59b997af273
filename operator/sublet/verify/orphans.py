"""Whatever of ours exists belongs to somebody who lives, and who lives is forgotten by nobody: S9, L2 to L4. Pure."""

from collections.abc import Iterator

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import NodeUID
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.fleet.nodebook import CLAIM_LABEL
from sublet.verify.index import Index, about, holds, places_of
from sublet.verify.violation import Violation
from sublet.verify.world import NodeKey

_HOLD = "hold its capacity until somebody has decided (sublet adopt --map after a lost hub)"


def holders_have_a_finalizer(index: Index) -> Iterator[Violation]:
    """L3: whoever is Reserved can't vanish before it is released: the finalizer comes before the reservation."""
    for claim in index.world.claims:
        reserved = is_true(claim.status.conditions, "Reserved")
        if reserved and RELEASE_FINALIZER not in claim.metadata.finalizers:
            text = f"it is reserved without the finalizer {RELEASE_FINALIZER}; put it back, or its deletion leaves orphans"
            yield Violation("L3", f"claim {claim.metadata.key}", text)


def entries_have_claims(index: Index) -> Iterator[Violation]:
    """L3 and S9, eventually: an entry's claim is known, holds GPUs, and has this node."""
    for key, book in index.books.items():
        cluster, node = index.nodes[key]
        subject = f"node {cluster.name}/{node.name}"
        for held in book:
            claim = index.claims.get(held.claim_uid)
            if held.claim_uid in index.left:
                continue  # known, and cleaned when the cluster answers
            if claim is None:
                if not index.is_known(held.claim_uid):
                    text = f"its book names claim {held.claim_uid}, which the hub doesn't know; {_HOLD}"
                    yield Violation("S9", subject, text, about(held.claim_uid))
            elif not _has_place(index, claim, key):
                has = "has other nodes" if holds(claim) else "holds nothing"
                text = f"its book names claim {claim.metadata.key}, which {has}; the operator must take the entry off"
                yield Violation("L3", subject, text, about(claim))
        if not book and node.tenant_uid is not None:
            text = f"its book is empty, but it names tenant {node.tenant_uid}; take the annotation sublet.dev/tenant off"
            yield Violation("L3", subject, text)


def _has_place(index: Index, claim: GpuClaim, key: NodeKey) -> bool:
    places = (p for p in places_of(claim).values() if p.node_uid == key[1])
    return any(index.key_of(place) in (None, key) for place in places)


def marks_have_leases(index: Index) -> Iterator[Violation]:
    """L3 and S9, eventually: a node's lease is known, and it carries all marks of an adopted node or none."""
    for cluster, node in index.nodes.values():
        subject = f"node {cluster.name}/{node.name}"
        if node.lease_uid is None:
            marks = [
                what
                for what, there in (
                    ("the pool taint", node.pool is not None),
                    ("a book", node.book is not None),
                    ("claim labels", bool(node.claim_labels)),
                )
                if there
            ]
            if marks:
                text = f"it has {' and '.join(marks)} but no label sublet.dev/lease; put the label back, or take the rest off"
                yield Violation("L3", subject, text)
        elif not index.has_lease(node.lease_uid):
            text = f"its label names lease {node.lease_uid}, which the hub doesn't know; make the lease, or take the marks off"
            yield Violation("S9", subject, text)
        elif node.pool != node.lease_uid or node.book is None:
            missing = "book" if node.book is None else "pool taint"
            text = f"it is adopted without its {missing}; the operator must put it back before anything is sold there"
            yield Violation("L3", subject, text)


def leaving_marks_have_claims(index: Index) -> Iterator[Violation]:
    """L3, eventually: what keeps pods off a node is there for a claim that leaves it."""
    for cluster, node in index.nodes.values():
        subject = f"node {cluster.name}/{node.name}"
        if node.is_shunned and not node.leaving:
            text = (
                "no claim leaves it that its taint sublet.dev/leaving could be for; take that off"
            )
            yield Violation("L3", subject, text)
        for claim_uid in sorted(node.leaving):
            claim = index.claims.get(claim_uid)
            if (claim is not None and node.uid in _left(claim)) or claim_uid in index.left:
                continue
            if claim is not None or not index.is_known(claim_uid):
                text = (
                    f"it says that claim {claim_uid} leaves it, which doesn't, so no pod of it comes there: "
                    f"set the label {CLAIM_LABEL}{claim_uid} to true, and take what sublet.dev/leaving says of it off"
                )
                yield Violation("L3", subject, text, about(claim_uid))


def _left(claim: GpuClaim) -> set[NodeUID]:
    """Return the nodes that a claim leaves; all of them while it is being released."""
    if is_true(claim.status.conditions, "Releasing"):
        return {NodeUID(place.node_uid) for place in places_of(claim).values()}
    left = [p for x in claim.status.leaving if x.freed_time is None for p in x.placements]
    move = claim.status.move
    return {
        NodeUID(p.node_uid)
        for p in (*left, *(move.placements if move is not None and move.abandoned else ()))
    }


def unwiped_marks_have_entries(index: Index) -> Iterator[Violation]:
    """L3, eventually: what is noted of a node that is to be wiped goes with the claim's entry."""
    for cluster, node in index.nodes.values():
        for claim_uid in sorted(node.unwiped - node.claim_labels):
            text = f"sublet.dev/unwiped names claim {claim_uid}, which isn't on it; take that off"
            yield Violation("L3", f"node {cluster.name}/{node.name}", text, about(claim_uid))


def namespaces_have_claims(index: Index) -> Iterator[Violation]:
    """L3 and S9, eventually: a claim namespace that isn't going away is used by a claim that holds GPUs."""
    used = {
        site
        for claim in index.world.claims
        for site in index.sites(claim, places_of(claim).values())
    }
    unplaced = {name for claim in index.world.claims for name in index.unplaced(claim)}
    for cluster in index.world.clusters:
        for found in cluster.namespaces or ():
            is_used = (str(cluster.uid), found.name) in used or found.name in unplaced
            is_used = is_used or found.claim_uid in index.left
            if found.is_ending or found.claim_uid is None or is_used:
                continue
            subject = f"namespace {cluster.name}/{found.name}"
            claim = index.claims.get(found.claim_uid)
            if claim is not None:
                text = f"claim {claim.metadata.key} doesn't use it any more; the operator must delete it"
                yield Violation("L3", subject, text, about(claim))
            elif not index.is_known(found.claim_uid):
                text = f"it is of claim {found.claim_uid}, which the hub doesn't know; look what runs there, then delete it"
                yield Violation("S9", subject, text, about(found.claim_uid))


def secrets_have_claims(index: Index) -> Iterator[Violation]:
    """L3, eventually: a kubeconfig's claim is there; the hub's garbage collector takes the others."""
    for secret in index.world.secrets or ():
        if secret.claim_uid is not None and not index.is_known(secret.claim_uid):
            text = f"its claim {secret.claim_uid} is gone; delete it (is the hub's garbage collector running?)"
            subject = f"secret {secret.namespace}/{secret.name}"
            yield Violation("L3", subject, text, about(secret.claim_uid))


def holders_have_leases(index: Index) -> Iterator[Violation]:
    """L3: the leases of a claim that holds GPUs are there: their finalizer keeps them."""
    for claim in index.world.claims:
        for uid in sorted({p.lease_uid for p in places_of(claim).values()}):
            if not index.has_lease(uid):
                text = f"it holds GPUs of lease {uid}, which the hub doesn't know; make the lease anew, or end the claim"
                yield Violation("L3", f"claim {claim.metadata.key}", text, about(claim))


def no_claim_is_forgotten(index: Index) -> Iterator[Violation]:
    """L2, eventually: every claim is bound, promised, waiting for something that it says, or ended."""
    for claim in index.world.claims:
        conditions = claim.status.conditions
        ready = find_condition(conditions, "Ready")
        subject = f"claim {claim.metadata.key}"
        if ready is None or not ready.reason:
            yield Violation("L2", subject, "nothing was said of it yet; is the operator running?")
        elif ready.reason == "Binding" and ready.message.endswith("the claim is being bound"):
            text = "it is reserved, not bound, and doesn't say what it waits for; see the operator's log"
            yield Violation("L2", subject, text)
        elif not (holds(claim) or _says_why(claim)):
            text = "it holds nothing, hasn't ended, and doesn't say why it waits; see the operator's log"
            yield Violation("L2", subject, text)


def _says_why(claim: GpuClaim) -> bool:
    status = claim.status
    ended = is_true(status.conditions, "Ended")
    return ended or status.pending is not None or status.release is not None


def deletions_complete(index: Index) -> Iterator[Violation]:
    """L4, eventually: a deleted claim is gone, or says what its release waits for."""
    for claim in index.world.claims:
        if claim.metadata.deletion_timestamp is None:
            continue
        releasing = find_condition(claim.status.conditions, "Releasing")
        said = releasing is not None and releasing.status == "True" and releasing.message
        if not said and RELEASE_FINALIZER in claim.metadata.finalizers:
            text = "it was deleted, is still there and doesn't say why; is the operator running, and its ledger there?"
            yield Violation("L4", f"claim {claim.metadata.key}", text)
