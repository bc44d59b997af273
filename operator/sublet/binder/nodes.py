"""Adopting a lease's nodes and handing them back: label, pool taint and an empty book, in one guarded patch.

`sublet.dev` metadata is the only thing of a node that Sublet touches. A node is adopted when no other lease has it
and no foreign pod holds its GPUs, by a live look; it can be sold only when it was read back and looked at again.
What was seen of pods is forgotten by a restart, so they are looked at once more before a node is handed over.
"""

import re
from collections.abc import Collection
from typing import Any, Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID, NodeName
from sublet.binder.locks import node_path, without_taint
from sublet.binder.pods import list_pods
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.inventory import brings_marks, is_adopted
from sublet.fleet.nodebook import (
    BOOK,
    CLAIM_LABEL,
    LEASE_LABEL,
    NODE,
    POOL_TAINT,
    SHARING,
    TENANT,
    UNWIPED,
)
from sublet.kube.errors import Conflict, Forbidden, Invalid, NotFound
from sublet.kube.session import JsonPatch
from sublet.kube.wire import Meta, Node

_TRIES: Final = 10
CLAIM_NAMESPACE: Final = re.compile(
    r"sublet-(?P<claim>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})-[1-9][0-9]{0,5}"
)


def wants_adoption(node: Node, lease: GpuLease) -> bool:
    """Say whether a node is the lease's to adopt: nobody's yet, and no claim's either."""
    return LEASE_LABEL not in node.metadata.labels and is_bare(node.metadata)


def wants_mending(node: Node, lease: GpuLease) -> bool:
    """Say whether a node of ours lost its taint or its book, or was made anew with another's marks.

    A book that is gone while claims are named is drift: an empty one would say that nobody has the node. So are claims
    that an earlier node of the name had.
    """
    uid = LeaseUID(lease.metadata.uid)
    if node.metadata.labels.get(LEASE_LABEL) != uid or is_adopted(node, uid):
        return False
    return is_bare(node.metadata) or (BOOK in node.metadata.annotations and not brings_marks(node))


def is_bare(meta: Meta) -> bool:
    """Say whether neither a node's book nor a label of it names a claim."""
    named = any(key.startswith(CLAIM_LABEL) for key in meta.labels)
    return not named and not meta.annotations.get(BOOK)


async def adopt(cluster: LeasedCluster, lease: GpuLease, name: NodeName) -> bool:
    """Make a node the lease's; return whether it is. Nothing is done to a node with foreign GPU pods.

    Raises the cluster's errors, also what it says of marks that it doesn't take for another reason than a change meanwhile.
    """
    node = await _read(cluster, name)
    cluster.note_foreign(
        name, foreign=True
    )  # unsellable until its pods were looked at after the patch
    for _ in range(_TRIES):
        if node is None:
            return False
        if LEASE_LABEL in node.metadata.labels and not wants_mending(node, lease):
            break
        if await foreign_pods(cluster, node):
            return False
        patch = _adoption(node, lease)
        try:
            node = await cluster.api.patch_as(node_path(name), patch, Node)
            cluster.observe(node)
            break
        except NotFound:
            return False
        except Forbidden:
            cluster.note_foreign(name, foreign=False)  # its pods were just looked at
            raise
        except (Invalid, Conflict) as error:
            node = await _read(cluster, name)
            is_same = node is not None and _adoption(node, lease) == patch
            if isinstance(error, Invalid) and is_same:
                cluster.note_foreign(name, foreign=False)  # likewise
                raise
    if node is None:
        return False
    foreign = await foreign_pods(cluster, node)
    cluster.note_foreign(name, foreign=foreign)
    return not foreign and is_adopted(node, LeaseUID(lease.metadata.uid))


async def hand_back(cluster: LeasedCluster, lease: GpuLease, name: NodeName) -> bool:
    """Take everything of ours off a node on which no claim is by a live read; return whether it is off."""
    for _ in range(_TRIES):
        node = await _read(cluster, name)
        if node is None or node.metadata.labels.get(LEASE_LABEL) != lease.metadata.uid:
            return True
        if not is_bare(node.metadata):
            return False
        try:
            cluster.observe(await cluster.api.patch_as(node_path(name), _return(node), Node))
        except (Invalid, Conflict):
            continue
        return True
    return False


async def foreign_pods(cluster: LeasedCluster, node: Node, holders: Collection[str] = ()) -> bool:
    """Say whether a pod of nobody who is on a node holds GPUs of it, by a live look.

    A claim is on it by its label, or is one of `holders`, by UID: the pods of one that isn't came there while the node
    was another by UID, as when a machine joins its cluster anew under its running pods.
    """
    name = node.metadata.name
    pods = await list_pods(cluster.api, "/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
    return any(
        pod.asks_for_gpus and not _is_at_home(pod.metadata.namespace, node, holders) for pod in pods
    )


async def has_foreign_pods(cluster: LeasedCluster, name: NodeName) -> bool:
    """Say whether a pod of nobody holds GPUs of a node as it was last seen, and does so too on the node as it is now.

    A claim may have come to the node, with its pods, since it was seen.
    """
    seen = cluster.node(name)
    if seen is not None and not await foreign_pods(cluster, seen):
        return False
    node = await _read(cluster, name)
    return node is not None and await foreign_pods(cluster, node)


def _is_at_home(namespace: str, node: Node, holders: Collection[str]) -> bool:
    """Say whether a pod's namespace is that of a claim which is on the node."""
    match = CLAIM_NAMESPACE.fullmatch(namespace)
    uid = match["claim"] if match is not None else ""
    return bool(uid) and (CLAIM_LABEL + uid in node.metadata.labels or uid in holders)


def _adoption(node: Node, lease: GpuLease) -> JsonPatch:
    uid = lease.metadata.uid
    taint = {"key": POOL_TAINT, "value": uid, "effect": "NoSchedule"}
    ours = {BOOK: "", SHARING: lease.spec.node_sharing.value, NODE: node.metadata.uid}
    old = node.metadata.labels.get(LEASE_LABEL)
    patch: JsonPatch = [
        *_tests(node, old),
        {"op": "add", "path": _escape("labels", LEASE_LABEL), "value": uid},
    ]
    missing = {k: v for k, v in ours.items() if k not in node.metadata.annotations}
    if brings_marks(node):
        patch += _begun_anew(node, ours)
    elif not node.metadata.annotations:
        patch += [
            {"op": "test", "path": "/metadata/annotations", "value": None},
            {"op": "add", "path": "/metadata/annotations", "value": missing},
        ]
    else:
        # whoever came first may have sold the node since: what was missing must still be
        for key, value in missing.items():
            path = _escape("annotations", key)
            patch += [
                {"op": "test", "path": path, "value": None},
                {"op": "add", "path": path, "value": value},
            ]
    return patch + _taint_patch(node, taint)


def _tests(node: Node, lease_uid: str | None) -> JsonPatch:
    return [
        {"op": "test", "path": "/metadata/uid", "value": node.metadata.uid},
        {"op": "test", "path": _escape("labels", LEASE_LABEL), "value": lease_uid},
    ]


def _begun_anew(node: Node, ours: dict[str, str]) -> JsonPatch:
    """Begin the own book of a node that brings the marks of an earlier one of its name, but none of its claims."""
    old = node.metadata.annotations.get(BOOK)
    patch: JsonPatch = [{"op": "test", "path": _escape("annotations", BOOK), "value": old}]
    patch += [{"op": "add", "path": _escape("annotations", k), "value": v} for k, v in ours.items()]
    patch += [
        {"op": "remove", "path": _escape("annotations", key)}
        for key in (TENANT, UNWIPED)
        if key in node.metadata.annotations
    ]
    return patch


def _taint_patch(node: Node, taint: dict[str, Any]) -> JsonPatch:
    if any({"key": t.key, "value": t.value, "effect": t.effect} == taint for t in node.spec.taints):
        return []
    if node.spec.taints:
        return [{"op": "add", "path": "/spec/taints/-", "value": taint}]
    return [
        {"op": "test", "path": "/spec/taints", "value": None},
        {"op": "add", "path": "/spec/taints", "value": [taint]},
    ]


def _return(node: Node) -> JsonPatch:
    patch: JsonPatch = [
        {"op": "test", "path": "/metadata/uid", "value": node.metadata.uid},
        # somebody may have taken the book off; one that names a claim is never wiped
        {
            "op": "test",
            "path": _escape("annotations", BOOK),
            "value": node.metadata.annotations.get(BOOK),
        },
        {
            "op": "test",
            "path": _escape("labels", LEASE_LABEL),
            "value": node.metadata.labels[LEASE_LABEL],
        },
    ]
    patch += without_taint(node, POOL_TAINT)
    patch.append({"op": "remove", "path": _escape("labels", LEASE_LABEL)})
    patch += [
        {"op": "remove", "path": _escape("annotations", key)}
        for key in (BOOK, SHARING, TENANT, NODE, UNWIPED)
        if key in node.metadata.annotations
    ]
    return patch


def _escape(section: str, key: str) -> str:
    return f"/metadata/{section}/" + key.replace("~", "~0").replace("/", "~1")


async def _read(cluster: LeasedCluster, name: NodeName) -> Node | None:
    try:
        node = await cluster.api.get_as(node_path(name), Node)
    except NotFound:
        return None
    cluster.observe(node)
    return node
