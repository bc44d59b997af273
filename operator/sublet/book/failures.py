"""Nodes that fail under a claim: which, since when, and whether so many at once that nothing is done by itself.

A node that can't be judged, because its cluster is silent or hasn't been read, isn't failed, and one that failed isn't
well for it: unknown is neither. The time that a failure is given counts from the claim's own condition, so neither a
restart nor a silence begins it anew. An instant that lies ahead was noted by a clock that was wrong: since when a node has
been sick nobody knows then, and the claim is told anew.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID, NodeName
from sublet.api.move_status import usable_nodes
from sublet.api.relocation import PlacedNode, PlaceKey
from sublet.api.times import Millis
from sublet.book.inventory import SICK, NodeState, Unfit
from sublet.book.supply import LeaseSupply

NODE_FAILED: Final = "NodeFailed"
REPLACE_AFTER_MS: Final = 300_000
"""As long as Kubernetes waits itself before it gives up the pods of a node that is not ready."""
_TOGETHER_MS: Final = 600_000
_MASS_PERCENT: Final = 30
_NAMES_SHOWN: Final = 3


def failed_since(claim: GpuClaim) -> Millis | None:
    """Return since when a claim says that a node of it failed, None if it doesn't."""
    found = find_condition(claim.status.conditions, "Degraded")
    says = found is not None and found.reason == NODE_FAILED
    if found is None or not says or not is_true(claim.status.conditions, "Degraded"):
        return None
    return found.last_transition_time


class Failures:
    """The failed nodes of one pass."""

    def __init__(
        self,
        holders: Iterable[GpuClaim],
        supplies: Mapping[LeaseUID, LeaseSupply],
        now_ms: Millis,
    ) -> None:
        self._supplies = supplies
        self._now_ms = now_ms
        absent: dict[PlaceKey, PlacedNode] = {}  # lease and node -> a place on it
        for claim in holders:
            for place in usable_nodes(claim) if claim.status.allocation is not None else ():
                if self._is_absent(place):
                    absent[place.key] = place
        self._gone = Counter(
            LeaseUID(place.lease_uid) for place in absent.values() if self._is_gone(place)
        )
        """lease -> nodes that claims hold and that its cluster hasn't any more"""
        self.unseen = tuple(absent[key] for key in sorted(absent) if not self._is_gone(absent[key]))
        """Nodes that claims hold and that their clusters don't list; a label may be missing, no more."""

    def of(self, claim: GpuClaim) -> list[PlacedNode]:
        """Return the nodes that a claim may use now, those of a move that are ready included, and that failed."""
        return [p for p in usable_nodes(claim) if self._is_gone(p) or self._is_sick(p)]

    def unseen_of(self, claim: GpuClaim) -> bool:
        """Say whether of one of these nodes nobody knows how it is: its cluster is silent, or doesn't list it."""
        return any(self._node(p) is None and not self._is_gone(p) for p in usable_nodes(claim))

    def lasting(self, failed: Iterable[PlacedNode], since_ms: Millis | None) -> list[PlacedNode]:
        """Return the nodes that have failed for so long that they are replaced; the claim was told so long ago, too."""
        long_ago = self._now_ms - REPLACE_AFTER_MS
        if since_ms is None or since_ms > long_ago:
            return []
        nodes = ((place, self._node(place)) for place in failed)
        return [
            place
            for place, node in nodes
            if node is None or (self._known_since(node) or 0) <= long_ago
        ]

    def is_told(self, since_ms: Millis | None) -> bool:
        """Say whether the claim was told of a failure, by a clock that was right."""
        return since_ms is not None and since_ms <= self._now_ms

    def is_mass(self, failed: Iterable[PlacedNode]) -> bool:
        """Say whether one of these failed within ten minutes of more than 30 % of its lease's nodes, and of two at least."""
        return any(self._fell_with_many(place) for place in failed)

    def described(self, failed: Sequence[PlacedNode]) -> str:
        """Name failed nodes, with what is wrong with them."""
        names = [f"node {p.node} at {p.lease} ({self._fault(p)})" for p in failed[:_NAMES_SHOWN]]
        more = len(failed) - _NAMES_SHOWN
        return " and ".join(names) + (f" and {more} more" if more > 0 else "") + " can't be used"

    def _known(self, place: PlacedNode) -> LeaseSupply | None:
        """Return the supply of a node's lease if what it shows can be believed."""
        supply = self._supplies.get(LeaseUID(place.lease_uid))
        return supply if supply is not None and not supply.is_silent else None

    def _node(self, place: PlacedNode) -> NodeState | None:
        supply = self._known(place)
        node = supply.inventory.nodes.get(NodeName(place.node)) if supply is not None else None
        return node if node is not None and node.uid == place.node_uid else None

    def _known_since(self, node: NodeState | None) -> Millis | None:
        """Return since when a node is sick, None if it is well, or nobody knows."""
        at_ms = node.sick_since_ms if node is not None else None
        return at_ms if at_ms is not None and at_ms <= self._now_ms else None

    def _is_absent(self, place: PlacedNode) -> bool:
        return self._known(place) is not None and self._node(place) is None

    def _is_gone(self, place: PlacedNode) -> bool:
        """Say whether a node isn't there any more, as its cluster answered when it was asked for it by name."""
        supply = self._known(place)
        asked = supply is not None and place.node_uid in supply.inventory.gone
        return asked and self._node(place) is None

    def _is_sick(self, place: PlacedNode) -> bool:
        node = self._node(place)
        return node is not None and node.unfit in SICK

    def _fault(self, place: PlacedNode) -> str:
        node = self._node(place)
        return str(node.unfit) if node is not None and node.unfit is not None else "gone"

    def _fell_with_many(self, place: PlacedNode) -> bool:
        uid = LeaseUID(place.lease_uid)
        nodes = [
            n
            for n in self._supplies[uid].inventory.nodes.values()
            if n.unfit is not Unfit.NODE_OVERLAP
        ]
        allowed = max(1, (len(nodes) + self._gone[uid]) * _MASS_PERCENT // 100)
        at_ms = self._known_since(self._node(place))
        sick = (self._known_since(n) for n in nodes if n.sick_since_ms is not None)
        together = sum(_fell_together(at_ms, t) for t in sick)
        return together + self._gone[uid] > allowed


def _fell_together(one_ms: Millis | None, other_ms: Millis | None) -> bool:
    """Say whether two nodes failed together; one of which nobody knows when, such as one that is gone, counts with all."""
    return one_ms is None or other_ms is None or abs(other_ms - one_ms) <= _TOGETHER_MS
