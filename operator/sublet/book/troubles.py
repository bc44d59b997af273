"""What bound claims are told that nothing is decided from: troubles that somebody has to look into."""

from collections.abc import Collection, Iterable

from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.book.clocks import behind
from sublet.book.decisions import Decision
from sublet.book.downtime import Downtimes
from sublet.book.floating import Prices, dated_prices, dearer_than_said
from sublet.book.holdings import is_billed
from sublet.book.silence import Silences
from sublet.book.unproven import Isolation
from sublet.book.view import View


def troubles(holders: Iterable[GpuClaim], decided: Collection[str], view: View) -> list[Decision]:
    """Return the gravest trouble of each claim that has any; none for claims about which something else is decided."""
    look = _Look(view)
    found = (look.at(claim) for claim in holders if claim.metadata.uid not in decided)
    return [trouble for trouble in found if trouble is not None]


class _Look:
    """What one pass knows of troubles; a claim is looked at once for all of them, since there are many."""

    def __init__(self, view: View) -> None:
        self._silences = Silences(view.leases, view.now_ms)
        self._downtimes = Downtimes(view.leases, view.inventories, view.now_ms)
        self._isolation = Isolation(view.inventories)
        self._prices: Prices = dated_prices(view.classes)
        self._now_ms = view.now_ms

    def at(self, claim: GpuClaim) -> Decision | None:
        """Return a claim's gravest trouble that it wasn't told yet."""
        allocation = claim.status.allocation
        if allocation is None:
            return None
        return (self._of_billed(claim, allocation)
                or self._isolation.of(claim, allocation)
                or behind(claim, allocation, self._now_ms)
                or dearer_than_said(claim, allocation, self._prices, self._now_ms))  # fmt: skip

    def _of_billed(self, claim: GpuClaim, allocation: Allocation) -> Decision | None:
        if not is_billed(claim):
            return None
        return self._silences.of(claim, allocation) or self._downtimes.of(claim, allocation)
