"""Nodes that fail under a claim: which, since when, and whether so many at once that nothing is done by itself.

A node that can't be judged, because its cluster is silent or hasn't been read, isn't failed, and one that failed isn't
well for it: unknown is neither. The time that a failure is given counts from the claim's own condition, so neither a
restart nor a silence begins it anew.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import LeaseUID, NodeName
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
        self, holders: Iterable[GpuClaim], supplies: Mapping[LeaseUID, LeaseSupply]
    ) -> None:
        self._supplies = supplies
        absent: dict[PlaceKey, PlacedNode] = {}  # lease and node -> a place on it
        for claim in holders:
            allocation = claim.status.allocation
            for place in allocation.placements if allocation is not None else ():
                if self._is_absent(place):
                    absent[place.key] = place
        self._gone = Counter(
            LeaseUID(place.lease_uid) for place in absent.values() if self._is_gone(place)
        )
        """lease -> nodes that claims hold and that its cluster hasn't any more"""
        self.unseen = tuple(absent[key] for key in sorted(absent) if not self._is_gone(absent[key]))
        """Nodes that claims hold and that their clusters don't list; a label may be missing, no more."""

    def of(self, allocation: Allocation) -> list[PlacedNode]:
        """Return the nodes of an allocation that failed."""
        return [p for p in allocation.placements if self._is_gone(p) or self._is_sick(p)]

    def unseen_of(self, allocation: Allocation) -> bool:
        """Say whether of one of its nodes nobody knows how it is: its cluster is silent, or doesn't list it."""
        return any(self._node(p) is None and not self._is_gone(p) for p in allocation.placements)

    def lasting(
        self, failed: Iterable[PlacedNode], since_ms: Millis | None, now_ms: Millis
    ) -> list[PlacedNode]:
        """Return the nodes that have failed for so long that they are replaced; the claim was told so long ago, too."""
        if since_ms is None or now_ms < since_ms + REPLACE_AFTER_MS:
            return []
        nodes = ((place, self._node(place)) for place in failed)
        return [
            place
            for place, node in nodes
            if node is None or now_ms >= (node.sick_since_ms or 0) + REPLACE_AFTER_MS
        ]

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
        node = self._node(place)
        at_ms = node.sick_since_ms if node is not None else None
        sick = [n.sick_since_ms for n in nodes if n.sick_since_ms is not None]
        # nobody knows when a node that is gone went, so it counts with all
        together = [t for t in sick if at_ms is None or abs(t - at_ms) <= _TOGETHER_MS]
        return len(together) + self._gone[uid] > allowed
