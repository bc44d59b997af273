"""Nodes as the informer decodes them, with our marks on or without; pods, and pages of lists."""

from typing import Any

import msgspec

from sublet.api.gpulease import GpuLease
from sublet.fleet.nodebook import BOOK, LEASE_LABEL, NODE, POOL_TAINT, SHARING, TENANT
from sublet.kube.lists import ListPage
from sublet.kube.wire import (
    Amounts,
    Container,
    ListMeta,
    Named,
    Node,
    Pod,
    PodSpec,
    ResourceList,
    Taint,
)
from tests.builders.api import uid_of
from tests.builders.nodes import gpu_node


def wire_node(name: str = "n0", **meta: Any) -> Node:
    """Return a GPU node as it is before Sublet knows it."""
    body = gpu_node(name)
    body["metadata"] |= {"uid": uid_of(name), "resourceVersion": "1", **meta}
    return msgspec.convert(body, Node)


def our_node(lease: GpuLease, book: str = "", tenant: str = "", name: str = "n0") -> Node:
    """Return an adopted node with this book, its labels in step."""
    node = wire_node(name)
    meta, uid = node.metadata, lease.metadata.uid
    meta.labels[LEASE_LABEL] = uid
    meta.annotations |= {BOOK: book, SHARING: lease.spec.node_sharing.value, NODE: meta.uid}
    meta.labels |= {f"claim.sublet.dev/{e.split('=')[0]}": "true" for e in book.split(",") if e}
    if tenant:
        meta.annotations[TENANT] = tenant
    node.spec.taints = [Taint(key=POOL_TAINT, value=uid, effect="NoSchedule")]
    return node


def gpu_pod(namespace: str) -> Pod:
    """Return a pod that asks for a GPU."""
    container = Container(ResourceList(limits=Amounts("1")))
    return Pod(Named(name="p", namespace=namespace), spec=PodSpec(containers=[container]))


def page(*items: object) -> ListPage:
    """Return a list's only page."""
    texts = [msgspec.json.encode(item) for item in items]
    return ListPage(ListMeta(), tuple(map(msgspec.Raw, texts)), sum(map(len, texts)))
