"""The lock: an entry in a node's own book, taken by compare-and-set on the node in the leased cluster.

The patch tests the node's UID and the book's old value, not the resourceVersion, which every heartbeat bumps. A 422
or 409 is not yet a lost race: read again; only another claim in the book is. Two operators, stale caches and
restarts are settled here and not by leader election.
"""

from collections.abc import Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Final

from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, TenantUID
from sublet.api.relocation import PlacedNode
from sublet.api.wording import how_many
from sublet.binder.ports import LostRace, StillThere
from sublet.book.inventory import Holding
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.inventory import is_adopted, node_state
from sublet.fleet.nodebook import (
    BOOK,
    CLAIM_LABEL,
    GPU,
    HELD,
    LEAVING,
    LEAVING_TAINT,
    SHARING,
    TENANT,
    UNWIPED,
    BookError,
    format_book,
    format_unwiped,
    parse_unwiped,
    read_book,
)
from sublet.kube.errors import Conflict, Forbidden, Invalid, NotFound
from sublet.kube.session import JsonPatch
from sublet.kube.wire import Node
from sublet.logs import log_about

_TRIES: Final = 10


class UnfitNode(LostRace):
    """The node is locked, but what it shows live forbids to hand it over."""


def node_path(name: str) -> str:
    """Return a node's URL path."""
    return f"/api/v1/nodes/{name}"


def is_on(node: Node, claim_uid: ClaimUID) -> bool:
    """Say whether a claim has its entry in a node's book, or its label on the node."""
    entries = node.metadata.annotations.get(BOOK, "").split(",")
    in_book = any(entry.startswith(f"{claim_uid}=") for entry in entries)
    return in_book or CLAIM_LABEL + claim_uid in node.metadata.labels


async def lock_node(
    cluster: LeasedCluster,
    lease: GpuLease,
    place: PlacedNode,
    claim_uid: ClaimUID,
    tenant_uid: TenantUID,
) -> None:
    """Put the claim into the node's book, or find it there; LostRace if it can't have the node.

    The node in the answer is checked live: Ready, schedulable, healthy, all GPUs of its labels and its book, no MIG, no sharing.
    """
    seen = cluster.node(NodeName(place.node))
    node, live = (seen, False) if seen is not None else (await _read(cluster, place), True)
    for tries_left in reversed(range(_TRIES + 1)):  # what the last try came to is looked at, too
        try:
            patch = _entry_patch(node, lease, place, claim_uid, tenant_uid)
        except LostRace as lost:
            if live:
                if lost.detail:
                    log_about(lease=lease).warning("node lost", node=place.node, error=lost.detail)
                raise
            patch = []
        if patch and not tries_left:
            break
        if patch:
            node, live = await _try_entry(cluster, place, node, patch), True
        elif live:
            _recheck(node, lease, place)
            return
        else:  # neither "it is ours" nor "it is another's" is believed of a cache
            node, live = await _read(cluster, place), True
    raise LostRace(f"node {place.node} changes too fast to be locked")


async def _try_entry(
    cluster: LeasedCluster, place: PlacedNode, before: Node, patch: JsonPatch
) -> Node:
    """Send the patch and return the node as it is after that; LostRace if it is gone or admission refuses."""
    try:
        node = await cluster.api.patch_as(node_path(place.node), patch, Node)
    except NotFound:
        raise LostRace(f"node {place.node} is gone") from None
    except (Invalid, Conflict):
        return await _read(cluster, place)
    except Forbidden as error:
        node = await _read(cluster, place)
        if node.metadata.annotations == before.metadata.annotations:
            # the belt's message may show other claims, so it goes to the log alone
            log = log_about(lease=cluster.lease)
            log.warning("lock refused", node=place.node, error=error.message)
            raise LostRace(f"node {place.node} refuses the claim") from error
        return node
    cluster.observe(node)
    return node


async def unlock_node(cluster: LeasedCluster, place: PlacedNode, claim_uid: ClaimUID) -> None:
    """Take the claim out of the node's book; nothing to do on a node that is gone or another by UID."""
    for _ in range(_TRIES):
        try:
            node = await cluster.api.get_as(node_path(place.node), Node)
        except NotFound:
            return
        if node.metadata.uid != place.node_uid:
            return
        patch = _removal_patch(node, claim_uid)
        if patch is None:
            cluster.observe(node)
            return
        try:
            cluster.observe(await cluster.api.patch_as(node_path(place.node), patch, Node))
        except NotFound:
            return
        except (Invalid, Conflict):
            continue
        return
    raise StillThere(f"node {place.node} changes too fast to be unlocked")


def _entry_patch(
    node: Node, lease: GpuLease, place: PlacedNode, claim_uid: ClaimUID, tenant_uid: TenantUID
) -> JsonPatch:
    """Return the patch that adds the claim to the book as read, [] if it is in it; LostRace if there is no room."""
    lease_uid, ours = LeaseUID(lease.metadata.uid), Holding(claim_uid, place.gpus)
    book = _book(node, place)
    if ours in book:
        return []
    if not is_adopted(node, lease_uid):
        raise LostRace(f"node {place.node} doesn't belong to {place.lease} any more")
    others = tuple(h for h in book if h.claim_uid != claim_uid)
    _check_room(node, others, place, tenant_uid)
    sharing = node.metadata.annotations.get(SHARING, NodeSharing.NONE)
    entries = format_book((*others, ours))
    patch: JsonPatch = [
        {"op": "test", "path": "/metadata/uid", "value": place.node_uid},
        {
            "op": "test",
            "path": annotation_path(BOOK),
            "value": node.metadata.annotations.get(BOOK, ""),
        },
        {"op": "test", "path": _label("sublet.dev/lease"), "value": lease_uid},
        {"op": "add", "path": annotation_path(BOOK), "value": entries},
        {"op": "add", "path": _label(CLAIM_LABEL + claim_uid), "value": HELD},
    ]
    if sharing != NodeSharing.ANY_TENANT:
        patch.append({"op": "add", "path": annotation_path(TENANT), "value": tenant_uid})
    return [*patch, *_without_note(node, claim_uid)]


def _check_room(
    node: Node, book: Sequence[Holding], place: PlacedNode, tenant_uid: TenantUID
) -> None:
    annotations = node.metadata.annotations
    sharing = annotations.get(SHARING, NodeSharing.NONE)
    shown = node.status.allocatable.get(GPU, "")
    there = int(shown) if shown.isdecimal() else 0
    held = sum(h.gpus for h in book)
    if held + place.gpus > there:
        # how many are free isn't every tenant's business
        detail = f"{how_many(max(0, there - held), 'GPU')} left, not {place.gpus}"
        raise LostRace(f"node {place.node} hasn't room for it", detail=detail)
    if book and sharing == NodeSharing.NONE:
        raise LostRace(f"node {place.node} is held by another claim")
    if book and sharing == NodeSharing.SAME_TENANT and annotations.get(TENANT) != tenant_uid:
        raise LostRace(f"node {place.node} is held by another tenant")


def _removal_patch(node: Node, claim_uid: ClaimUID) -> JsonPatch | None:
    """Return the patch that takes the claim off, None if it isn't there."""
    labels, annotations = node.metadata.labels, node.metadata.annotations
    text = annotations.get(BOOK)  # a test for null passes where there is no book at all
    entries = [e for e in (text or "").split(",") if e]
    kept = [e for e in entries if not e.startswith(f"{claim_uid}=")]
    label, unwiped = CLAIM_LABEL + claim_uid, _without_note(node, claim_uid)
    if kept == entries and label not in labels and not unwiped:
        return None
    patch: JsonPatch = [
        {"op": "test", "path": "/metadata/uid", "value": node.metadata.uid},
        {"op": "test", "path": annotation_path(BOOK), "value": text},
        {"op": "add", "path": annotation_path(BOOK), "value": ",".join(kept)},
    ]
    if label in labels:
        patch.append({"op": "remove", "path": _label(label)})
    if not kept and TENANT in annotations:
        patch.append({"op": "remove", "path": annotation_path(TENANT)})
    return [*patch, *unwiped, *_not_leaving(node, claim_uid)]


def _without_note(node: Node, claim_uid: ClaimUID) -> JsonPatch:
    """Return the operations that take off what is noted of a claim that waited for the node to be wiped."""
    notes = parse_unwiped(node.metadata.annotations)
    if notes.pop(claim_uid, None) is None:
        return []
    path = annotation_path(UNWIPED)
    test = {"op": "test", "path": path, "value": node.metadata.annotations[UNWIPED]}
    if notes:
        return [test, {"op": "add", "path": path, "value": format_unwiped(notes)}]
    return [test, {"op": "remove", "path": path}]


def without_taint(node: Node, key: str) -> JsonPatch:
    """Return the operations that take one taint off a node, [] if it isn't on it."""
    for index, taint in enumerate(node.spec.taints):
        if taint.key == key:
            return [
                {"op": "test", "path": f"/spec/taints/{index}/key", "value": key},
                {"op": "remove", "path": f"/spec/taints/{index}"},
            ]
    return []


async def shun_node(cluster: LeasedCluster, place: PlacedNode, claim_uid: ClaimUID) -> None:
    """Keep new pods of a claim off a node that it leaves while its namespace lives on; nothing to do if it is off already.

    Its label there gets a random value: a tenant may select any, but can't see nodes. Others on the node notice nothing,
    however long the claim's part rests; a taint would keep their pods off, too.
    """
    for _ in range(_TRIES):
        try:
            node = await cluster.api.get_as(node_path(place.node), Node)
        except NotFound:
            return
        label = CLAIM_LABEL + claim_uid
        if node.metadata.uid != place.node_uid or node.metadata.labels.get(label) != HELD:
            return
        patch: JsonPatch = [
            {"op": "test", "path": "/metadata/uid", "value": place.node_uid},
            {"op": "test", "path": _label(label), "value": HELD},
            {"op": "add", "path": _label(label), "value": token_hex(16)},
            *_not_leaving(node, claim_uid),
        ]
        with suppress(Invalid, Conflict):
            cluster.observe(await cluster.api.patch_as(node_path(place.node), patch, Node))
            return
    raise StillThere(f"node {place.node} changes too fast to be left")


def _leaving(node: Node) -> list[str]:
    """Return the claims that leave a node by the marks of an older version."""
    return [uid for uid in node.metadata.annotations.get(LEAVING, "").split(",") if uid]


def _not_leaving(node: Node, claim_uid: ClaimUID) -> JsonPatch:
    """Return the operations that take an older version's marks of a claim off; the taint goes with the last one."""
    text = node.metadata.annotations.get(LEAVING)
    if text is None or claim_uid not in _leaving(node):
        return []
    others = [uid for uid in _leaving(node) if uid != claim_uid]
    patch: JsonPatch = [{"op": "test", "path": annotation_path(LEAVING), "value": text}]
    if others:
        return [*patch, {"op": "add", "path": annotation_path(LEAVING), "value": ",".join(others)}]
    off = {"op": "remove", "path": annotation_path(LEAVING)}
    return [*patch, off, *without_taint(node, LEAVING_TAINT)]


def _recheck(node: Node, lease: GpuLease, place: PlacedNode) -> None:
    """Look at the locked node once more, live: the book decided on what a cache showed. Its pods are seen to after all locks."""
    unfit = node_state(node, lease, before=None, foreign_pods=False).unfit
    if unfit is not None:
        raise UnfitNode(f"node {place.node} can't be sold: {unfit}")


async def _read(cluster: LeasedCluster, place: PlacedNode) -> Node:
    try:
        node = await cluster.api.get_as(node_path(place.node), Node)
    except NotFound:
        raise LostRace(f"node {place.node} is gone") from None
    cluster.observe(node)
    return node


def _book(node: Node, place: PlacedNode) -> tuple[Holding, ...]:
    if node.metadata.uid != place.node_uid:
        raise LostRace(f"node {place.node} was made anew")
    try:
        return read_book(node.metadata.labels, node.metadata.annotations)
    except BookError as error:
        message = f"node {place.node}: its book can't be read"
        raise LostRace(message, detail=str(error)) from error


def annotation_path(key: str) -> str:
    """Return the JSON pointer of an annotation."""
    return "/metadata/annotations/" + key.replace("/", "~1")


def _label(key: str) -> str:
    return "/metadata/labels/" + key.replace("/", "~1")
