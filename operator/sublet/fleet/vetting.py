"""What a leased cluster's nodes may look like at all. Pure.

An API server lets no node through that breaks these rules, so one that shows such a node lies, or isn't one. Names and
UIDs go on into claims' statuses and into URLs, where nothing but names and UIDs may come.
"""

import re
from typing import Final

from sublet.api.names import UID_PATTERN
from sublet.kube.errors import BadAnswer
from sublet.kube.wire import Node

MOST_CHARACTERS: Final = 1_000_000
"""Of one node's texts; an API server allows a quarter of it in annotations, and its store no more in all."""
MOST_KEPT: Final = 256_000_000
"""Of all nodes of a lease; 12,500 nodes have a tenth of it."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_UID: Final = re.compile(UID_PATTERN)


def weight_of(node: Node) -> int:
    """Return how many characters of a node are kept; BadAnswer if it is no node that a cluster can have."""
    meta, status = node.metadata, node.status
    if _NAME.fullmatch(meta.name) is None or _UID.fullmatch(meta.uid) is None:
        raise BadAnswer("a node without a proper name and UID")
    weight = sum(
        len(key) + len(text)
        for words in (meta.labels, meta.annotations, status.allocatable)
        for key, text in words.items()
    )
    weight += sum(len(c.type) + len(c.reason) for c in status.conditions)
    weight += sum(len(t.key) + len(t.value) for t in node.spec.taints)
    if weight > MOST_CHARACTERS:
        raise BadAnswer("a node with more text than an API server takes")
    return weight


class Kept:
    """How much text of a lease's nodes is kept, and whose each UID is."""

    def __init__(self) -> None:
        self._weights: dict[str, int] = {}  # node name -> characters
        self._names: dict[str, str] = {}  # node UID -> name
        self._uids: dict[str, str] = {}  # node name -> UID
        self._total = 0

    def take(self, node: Node) -> None:
        """Take note of a node; BadAnswer if it is none, or one too many, or has the UID of another."""
        weight, name, uid = weight_of(node), node.metadata.name, node.metadata.uid
        if self._names.get(uid, name) != name:
            raise BadAnswer("two nodes with one UID")
        total = self._total + weight - self._weights.get(name, 0)
        if total > MOST_KEPT:
            raise BadAnswer("nodes with more text than any cluster has")
        self.drop(name)
        self._weights[name], self._names[uid], self._uids[name] = weight, name, uid
        self._total = total

    def drop(self, name: str) -> None:
        """Forget a node."""
        self._total -= self._weights.pop(name, 0)
        self._names.pop(self._uids.pop(name, ""), None)
