"""What a leased cluster's nodes may look like at all. Pure.

An API server lets no node through that breaks these rules, so one that shows such a node lies, or isn't one. Names and
UIDs go on into claims' statuses and into URLs, where nothing but names and UIDs may come.
"""

import re
from itertools import chain
from sys import getsizeof
from typing import Final

from sublet.api.names import UID_PATTERN
from sublet.kube.errors import BadAnswer
from sublet.kube.wire import Node

MOST_NODE_BYTES: Final = 2_000_000
"""Of one node; its store takes no more of it, and in annotations an API server allows an eighth."""
MOST_KEPT_BYTES: Final = 512_000_000
"""Of all nodes of a lease; 12,500 with 200 long labels each have 490 million."""
_NODE_BYTES: Final = 2_000
"""What a node takes beside its texts."""
_TEXT_BYTES: Final = 70
"""What each text takes beside its characters: thousands of short ones are no small node."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_UID: Final = re.compile(UID_PATTERN)


def weight_of(node: Node) -> int:
    """Return how many bytes of memory a node takes; BadAnswer if it is no node that a cluster can have."""
    meta, status = node.metadata, node.status
    if _NAME.fullmatch(meta.name) is None or _UID.fullmatch(meta.uid) is None:
        raise BadAnswer("a node without a proper name and UID")
    words = (meta.labels, meta.annotations, status.allocatable)
    texts = [*chain(*words), *chain(*(each.values() for each in words))]
    texts += [text for c in status.conditions for text in (c.type, c.reason)]
    texts += [text for t in node.spec.taints for text in (t.key, t.value)]
    # together, for one call: where one character takes four bytes, as many are counted for each
    weight = _NODE_BYTES + _TEXT_BYTES * len(texts) + getsizeof("".join(texts))
    if weight > MOST_NODE_BYTES:
        raise BadAnswer("a node with more text than an API server takes")
    return weight


class Kept:
    """How much memory a lease's nodes take, and whose each UID is."""

    def __init__(self) -> None:
        self._weights: dict[str, int] = {}  # node name -> bytes
        self._names: dict[str, str] = {}  # node UID -> name
        self._uids: dict[str, str] = {}  # node name -> UID
        self._total = 0

    def take(self, node: Node) -> None:
        """Take note of a node; BadAnswer if it is none, or one too many, or has the UID of another."""
        weight, name, uid = weight_of(node), node.metadata.name, node.metadata.uid
        if self._names.get(uid, name) != name:
            raise BadAnswer("two nodes with one UID")
        total = self._total + weight - self._weights.get(name, 0)
        if total > MOST_KEPT_BYTES:
            raise BadAnswer("nodes with more text than any cluster has")
        self.drop(name)
        self._weights[name], self._names[uid], self._uids[name] = weight, name, uid
        self._total = total

    def drop(self, name: str) -> None:
        """Forget a node."""
        self._total -= self._weights.pop(name, 0)
        self._names.pop(self._uids.pop(name, ""), None)
