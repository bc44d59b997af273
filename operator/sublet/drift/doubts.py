"""What the looks at one cluster made of its nodes: what they doubt of them, and whose marks they tried to put back.

What is seen once may be a cache that is behind, so a doubt is sure when the next look that could tell has it, too. One
look puts back the marks of so many nodes: those come first whose marks weren't tried for longest, and whoever has no turn
stays as its last one left it. So marks that a cluster refuses for good hold up no other node.

Kept by the lookout, one for each cluster.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sublet.api.ids import LeaseUID, NodeUID

Seen = tuple[LeaseUID, NodeUID]
"""A node as one lease shows it: leases of one cluster may differ about a node that they all show."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is doubted of one node."""

    text: str = ""
    """Empty: nothing is."""
    strangers: int = 0
    """Hash of the claims that it names and that don't have it."""
    is_sure: bool = False


_NONE: Final = Doubt()


class Doubts:
    """Of the nodes of one cluster."""

    def __init__(self) -> None:
        self._of: dict[Seen, Doubt] = {}
        self._tried: dict[Seen, int] = {}
        """node whose marks weren't as they should be -> number of the last try to put them back"""
        self._tries = 0

    def keep(self, there: Collection[Seen]) -> None:
        """Forget all nodes but these: a cluster may show new ones without end."""
        self._of = {node: doubt for node, doubt in self._of.items() if node in there}
        self._tried = {node: number for node, number in self._tried.items() if node in there}

    def tried(self, node: Seen) -> int:
        """Return a number that is the larger the later somebody tried to put a node's marks back, 0 if nobody did."""
        return self._tried.get(node, 0)

    def begin_try(self, node: Seen) -> None:
        """Take note that a node's marks are to be put back now."""
        self._tries += 1
        self._tried[node] = self._tries

    def end_tries(self, node: Seen) -> None:
        """Take note that no mark is to be put back."""
        self._tried.pop(node, None)

    def of(self, node: Seen) -> Doubt:
        """Return what is doubted of a node."""
        return self._of.get(node, _NONE)

    def take(self, node: Seen, text: str, strangers: int) -> Doubt:
        """Take over what a look doubts of a node, in place of what was."""
        before = self._of.pop(node, _NONE)
        if not text:
            return _NONE
        is_same = (before.text, before.strangers) == (text, strangers)
        found = self._of[node] = Doubt(text, strangers, is_sure=is_same)
        return found
