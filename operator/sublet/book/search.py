"""What a demand finds in one pass: a place within its tenant's quota and money, or why there is none.

Nobody looks again for what was just refused to another: that holds until something is given, kept or taken back, and
whoever does so says it. The place isn't taken here.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace

from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.book.budget import Budgets
from sublet.book.decisions import Refuse
from sublet.book.demand import Demand
from sublet.book.fewer import most_that_fit
from sublet.book.holdings import Holdings
from sublet.book.placement import Candidate, find_place
from sublet.book.reasons import quota_refusal, refusal
from sublet.book.standing import Standing, Standings
from sublet.book.steps import FOREVER
from sublet.book.stops import find_place_before
from sublet.book.supply import LeaseSupply


class Search:
    """Looks for places on the leases of one pass as they are now."""

    def __init__(
        self, supplies: Mapping[LeaseUID, LeaseSupply], holdings: Holdings, budgets: Budgets
    ) -> None:
        self.supplies = supplies
        self.holdings = holdings
        self.budgets = budgets
        self._refused: dict[Hashable, Refuse] = {}
        """What was asked for -> why there is no place, as long as nothing is given or kept."""

    def forget(self) -> None:
        """Look for everything anew: something was given, kept or taken back, or time has passed."""
        self._refused.clear()

    def serve(self, demand: Demand) -> tuple[Demand, Candidate] | Refuse:
        """Return a place for a demand, or a part of it if the claim takes one; a refusal is remembered."""
        asked = demand.key if demand.uid not in self.holdings.named else None
        if asked in self._refused:
            return replace(self._refused[asked], claim_uid=demand.uid)
        found = self.find(demand)
        if isinstance(found, Candidate):
            return demand, found
        part = self._find_some(demand)
        if part is None and asked is not None:
            self._refused[asked] = found
        return part or found

    def find(self, demand: Demand) -> Candidate | Refuse:
        """Return the place that a demand would get now."""
        standings = Standings(demand, self.supplies.values())
        if (beyond := self._beyond_means(demand, _nearest(standings))) is not None:
            return beyond
        sells = standings.of(Standing.OPEN)
        if (found := find_place_before(demand, sells, demand.start_ms)) is not None:
            return found
        would = None
        if standings.of(Standing.SILENT):
            would = find_place(demand, standings.of(Standing.OPEN, Standing.SILENT))
        return refusal(demand, standings, would.supplies if would is not None else ())

    def would(self, demand: Demand) -> Candidate | None:
        """Return the place that a demand would get, if it were asked for."""
        found = self.find(demand)
        return found if isinstance(found, Candidate) else None

    def affords(self, demand: Demand, supplies: Iterable[LeaseSupply]) -> bool:
        """Say whether a tenant's quota and money are enough for a demand on some leases."""
        return self._beyond_means(demand, supplies) is None

    def ends_ms(self, demand: Demand) -> Millis:
        """Return when the last of the leases ends that could serve a demand, now or once time or a repair opens them."""
        return _last_end(_nearest(Standings(demand, self.supplies.values())))

    def _beyond_means(self, demand: Demand, supplies: Iterable[LeaseSupply]) -> Refuse | None:
        last = _last_end(supplies)
        beyond = quota_refusal(demand, last, self.holdings)
        return beyond or self.budgets.refusal(demand, last)

    def _find_some(self, demand: Demand) -> tuple[Demand, Candidate] | None:
        """Return the largest part of what is asked for that there is a place for, if the claim takes a part."""
        least = demand.claim.spec.min_gpus
        if least is None:
            return None
        standings = Standings(demand, self.supplies.values())
        fewer = most_that_fit(demand, least, standings, self.would)
        return (fewer.demand, fewer.found) if fewer is not None else None


def _nearest(standings: Standings) -> list[LeaseSupply]:
    """Return the leases that serve a demand, or will."""
    return standings.of(Standing.OPEN, Standing.LATER, Standing.SILENT, Standing.UNPROVEN)


def _last_end(supplies: Iterable[LeaseSupply]) -> Millis:
    return max((s.ends_ms for s in supplies), default=FOREVER)
