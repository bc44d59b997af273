"""What a claim is told that finds no place: when it could begin, which is kept for it, and what would bind instead.

Where a claim of higher priority could begin sooner, others' GPUs are taken back for it first. Asked by the pass for each
claim that waits, in their order, and for quotes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.pending import Offer, PendingReason
from sublet.api.times import Millis
from sublet.book.backfill import SHADOWS, Opening
from sublet.book.decisions import Refuse
from sublet.book.demand import Demand, Rules, with_spec
from sublet.book.going import count_rests
from sublet.book.offers import as_asked, offers_for, ways_out
from sublet.book.pardon import Pardons
from sublet.book.placement import Candidate
from sublet.book.preemption import Preemption
from sublet.book.prospects import Prospects
from sublet.book.search import Search
from sublet.book.standing import Standing, Standings
from sublet.book.steps import FOREVER
from sublet.book.stops import find_opening_before

_IN_VAIN: Final = 64
"""How many claims of a pass are looked at that get no start: so many that room would help, and so many of the others.

At most as many again, where each is the first of its namespace.
"""
Looks = tuple[str, bool]
"""What looks are counted by: namespace, and whether room would help."""
_STARTS: Final[Looks] = ("", True)
MENDED_BY_TIME: Final = frozenset(
    {PendingReason.WAITING_FOR_CAPACITY, PendingReason.LEASE_UNREACHABLE}
)


class Bargain:
    """The starts that are kept for claims that wait, and what they are offered, in one pass."""

    def __init__(
        self,
        holders: Sequence[GpuClaim],
        rules: Rules,
        now_ms: Millis,
        search: Search,
        preemption: Preemption,
        pardons: Pardons,
    ) -> None:
        self._holders = holders
        self._search = search
        self._preemption = preemption
        self._pardons = pardons
        self._prospects = Prospects(search)
        self._starts = 0
        """How many claims got one."""
        self._in_vain: Counter[Looks] = Counter()
        self._all_in_vain: Counter[bool] = Counter()
        self.go_on(rules, now_ms)

    def go_on(self, rules: Rules, now_ms: Millis) -> None:
        """Go on at a later instant, when all that was decided stands."""
        self._rules, self._now_ms = rules, now_ms

    def passed_over(self, demand: Demand, reason: PendingReason) -> Looks | None:
        """Return whose looks are used up, None if a claim is looked at; who was passed over stays so for the rest of the pass.

        Whoever can be helped is looked at, however many wait in front that can't be: a namespace may have no more in vain
        than it leaves to the others.
        """
        return next((x for x in looks_of(demand, reason) if self._is_used_up(x)), None)

    def _is_used_up(self, looks: Looks) -> bool:
        if looks == _STARTS:
            return self._starts >= SHADOWS
        left = _IN_VAIN - self._all_in_vain[looks[1]]
        return left <= -_IN_VAIN or self._in_vain[looks] > max(0, left)

    def over(self, demand: Demand, refused: Refuse) -> Refuse:
        """Say when the claim could begin, keep that room for it, and say what would bind now."""
        told = self._look(demand, refused)
        if told.estimated_ms is not None:
            self._starts += 1
        else:
            own = looks_of(demand, refused.reason)[-1]
            self._in_vain[own] += 1
            self._all_in_vain[own[1]] += 1
        return told

    def _look(self, demand: Demand, refused: Refuse) -> Refuse:
        standings = Standings(demand, self._search.supplies.values())
        opening = None
        if refused.reason in MENDED_BY_TIME:
            opening = self._preempt(demand, standings, self._opening(demand, standings))
            if opening is None:
                self.leave(demand, refused)
        offers = self._offers(demand, refused, standings, opening)
        if opening is None or not self._may_begin(demand, opening):
            return replace(refused, offers=offers)
        if not demand.is_ahead:
            opening.keep()
            self._prospects.keep(opening)
            self._search.forget()
        return replace(refused, offers=offers, estimated_ms=opening.at_ms)

    def leave(self, demand: Demand, refused: Refuse) -> None:
        """Keep nothing for a claim: it may need whatever is taken back, if it could begin with it."""
        is_asked = refused.reason in MENDED_BY_TIME and self._pardons.are_asked_for
        if is_asked and self._prospects.has_means(demand):
            self._pardons.needs(demand)

    def over_whole(self, claim: GpuClaim, refused: Refuse) -> Refuse:
        """Answer a quote, or name the price that the claim refuses."""
        ways = (self._rules, self._search.supplies.values(), self._search.would)
        if not claim.spec.suspended:
            return replace(refused, offers=ways_out(claim, refused.reason, *ways))
        read = self._rules.read(with_spec(claim, suspended=False))
        if isinstance(read, Refuse):
            asked = replace(refused, message=f"{refused.message}; resumed now: {read.message}")
            return replace(asked, offers=ways_out(claim, read.reason, *ways))
        found = self._search.find(read)
        if isinstance(found, Candidate):
            return replace(refused, offers=(as_asked(read),))
        standings = Standings(read, self._search.supplies.values())
        offers = self._offers(read, found, standings, self._opening(read, standings))
        return replace(
            refused, offers=offers, message=f"{refused.message}; resumed now: {found.message}"
        )

    def _opening(self, demand: Demand, standings: Standings) -> Opening | None:
        """Return the earliest start that there is room for."""
        later = standings.of(Standing.OPEN, Standing.LATER)
        return find_opening_before(demand, later, self._now_ms)

    def _may_begin(self, demand: Demand, opening: Opening) -> bool:
        """Say whether there are means for a claim then: one with a window of its own is promised it, others wait."""
        own = self._prospects.has_means
        has_means = own if demand.is_ahead else self._prospects.will_have_means
        return has_means(opening.demand)

    def _preempt(
        self, demand: Demand, standings: Standings, opening: Opening | None
    ) -> Opening | None:
        """Take back what a claim of higher priority needs, if that is sooner than it would begin anyway."""
        if demand.is_ahead:
            return opening
        sells = standings.of(Standing.OPEN)
        soonest = opening.at_ms if opening is not None else FOREVER
        told = len(self._preemption.decisions)
        waits = replace(demand, has_means=self._prospects.will_have_means)

        def begins() -> bool:
            """Say whether the start that the claim gets then is one that it has the means for, as the next pass will ask."""
            if not self._prospects.are_bounded(demand):
                return True
            found = find_opening_before(demand, sells, self._now_ms)
            return found is not None and self._may_begin(demand, found)

        if not self._preemption.make_room(waits, sells, soonest, begins):
            return opening
        going, search = self._preemption.decisions[told:], self._search
        count_rests(going, self._holders, search.holdings, search.supplies, self._now_ms)
        search.forget()
        return find_opening_before(demand, sells, self._now_ms)

    def _offers(
        self, demand: Demand, refused: Refuse, standings: Standings, opening: Opening | None
    ) -> tuple[Offer, ...]:
        """Return what would bind instead: for want of money a shorter time, else whatever there is room for."""
        search = self._search
        if refused.reason in (PendingReason.EXCEEDS_BUDGET, PendingReason.MISCONFIGURED):
            return search.budgets.offers(demand, search.would)
        if opening is not None and not self._prospects.has_means(opening.demand):
            opening = None
        return offers_for(demand, standings, opening, self._rules, search.would, search.affords)


def looks_of(demand: Demand, reason: PendingReason) -> tuple[Looks, ...]:
    """Return which looks a claim needs that is refused for this."""
    own = (demand.claim.metadata.namespace, reason in MENDED_BY_TIME)
    return (_STARTS, own) if reason in MENDED_BY_TIME else (own,)
