"""Notices that nobody needs any more are taken back: the victim's end returns to its own.

Nobody wrote down for whom a notice was given, and nobody has to: once all claims of higher priority are served, or have
their start kept for them, whoever still finds room to stay is needed by none of them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Extend
from sublet.book.demand import Demand
from sublet.book.expiry import prolonged
from sublet.book.means import Means
from sublet.book.supply import LeaseSupply


class Pardons:
    """The claims of one pass whose notice runs, and those that are let off."""

    def __init__(
        self,
        holders: Iterable[GpuClaim],
        offer: Callable[[str], GpuClass | None],
        supplies: Mapping[LeaseUID, LeaseSupply],
        busy: Collection[ClaimUID],
        now_ms: Millis,
        means: Means,
    ) -> None:
        """Look for claims whose notice runs and that no work is under way for; `means` as for any later end."""
        self.decisions: list[Extend] = []
        self._offer = offer
        self._supplies = supplies
        self._now_ms = now_ms
        self._means = means
        self._noticed = [c for c in holders if c.metadata.uid not in busy and is_noticed(c)]
        """Best-ranked first."""
        self._without_start: list[Demand] = []
        """Claims that wait for room and see no start."""

    @property
    def are_asked_for(self) -> bool:
        """Say whether a notice runs: whoever comes may show that nobody needs it any more."""
        return bool(self._noticed)

    def spare(self, decided: Collection[ClaimUID]) -> None:
        """Leave claims alone that something was decided for."""
        self._noticed = [c for c in self._noticed if c.metadata.uid not in decided]

    def needs(self, demand: Demand) -> None:
        """Remember a blocked claim for which nothing is kept: it may need whatever is taken back for its products."""
        self._without_start.append(demand)

    def grant(self, above: int | None) -> None:
        """Let off who isn't needed, as all claims above this priority were looked at; None: all claims were."""
        while self._noticed and (above is None or _priority(self._noticed[0]) >= above):
            claim = self._noticed.pop(0)
            if any(self._may_need(demand, claim) for demand in self._without_start):
                continue
            offer = self._offer(claim.spec.class_name)
            means = self._means
            found = prolonged(
                claim, offer, self._supplies, self._now_ms, means.grant, means.grants_all
            )
            if found is not None:
                self.decisions.append(found)

    def _may_need(self, demand: Demand, claim: GpuClaim) -> bool:
        allocation = claim.status.allocation
        placements = allocation.placements if allocation is not None else ()
        lower = _priority(claim) < demand.priority
        return lower and any(place.product in demand.products for place in placements)


def is_noticed(claim: GpuClaim) -> bool:
    """Say whether a claim's notice runs."""
    allocation = claim.status.allocation
    return (
        allocation is not None
        and allocation.until_cause is ReleaseCause.PREEMPTED
        and not allocation.is_ahead
        and not is_true(claim.status.conditions, "Releasing")
    )


def _priority(claim: GpuClaim) -> int:
    return claim.status.allocation.priority if claim.status.allocation is not None else 0
