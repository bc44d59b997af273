"""Whose GPUs are taken back for a claim that ranks higher: of Preemptible classes, with notice, from nobody in vain.

A victim's end is moved to the end of its notice; nothing else happens then. The blocked claim's opening appears at that
instant by itself and is kept for it like any other, so a pass that comes after finds nothing left to preempt. Victims
are looked for on one lease at a time and, where that doesn't suffice, on all together; on the supply as it is, and only
where taking them back makes the claim fit sooner than it would anyway. Where it also needs nodes that others leave later,
they are told so late that both leave at once: until then its need may pass, or somebody else may leave.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import GpuClass, Guarantee
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.move_status import all_nodes, end_there, fresh_nodes
from sublet.api.relocation import Move, ReleaseCause
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.backfill import find_opening, opening_at
from sublet.book.decisions import Extend
from sublet.book.demand import Demand
from sublet.book.holdings import RELEASE_MS
from sublet.book.shape import must_have_one_node
from sublet.book.steps import FOREVER
from sublet.book.stops import opened, stops_of
from sublet.book.supply import LeaseSupply

_STOPS_TRIED: Final = 8


@dataclass(frozen=True, slots=True)
class Victim:
    """A claim that may be taken back, and when its notice would be over."""

    uid: ClaimUID
    allocation: Allocation
    notice_ms: Millis
    leaves_ms: Millis
    """From when its nodes count as left: a claim without notice is there until its release is done."""

    holds: tuple[tuple[Allocation, Millis], ...]
    """(nodes, its end there): those that it has, and those that are ready for it elsewhere; its release frees both, once both clusters answer."""

    @property
    def leases(self) -> set[frozenset[str]]:
        """Return the UIDs of the leases of the nodes that it has, and of those that it comes to: it gives room on either."""
        return {frozenset(held.lease_uids) for held, _ in self.holds}

    @property
    def gone_ms(self) -> Millis:
        """Return when its release should be done."""
        return Millis(self.notice_ms + RELEASE_MS)

    @property
    def until_ms(self) -> Millis:
        """Return its end as it is."""
        until = self.allocation.until_time
        return until if until is not None else FOREVER

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """Return its place: lowest priority first, then fewest GPUs, then youngest."""
        held = self.allocation
        return (held.priority, held.gpus, -held.decided_time, self.uid)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Victims that are enough on some leases, none of them needless."""

    supplies: Sequence[LeaseSupply]
    victims: Sequence[Victim]

    @property
    def cost(self) -> tuple[int, int, int, list[tuple[int, int, int, str]]]:
        """Return what makes it worse: their highest priority, their GPUs, their number."""
        return (
            max(v.allocation.priority for v in self.victims),
            sum(v.allocation.gpus for v in self.victims),
            len(self.victims),
            sorted(v.rank for v in self.victims),
        )


class Preemption:
    """The claims of one pass that may be taken back, and those that are."""

    def __init__(
        self,
        holders: Iterable[GpuClaim],
        offer: Callable[[str], GpuClass | None],
        supplies: Mapping[LeaseUID, LeaseSupply],
        busy: Collection[ClaimUID],
        now_ms: Millis,
    ) -> None:
        """Look for claims of Preemptible classes that hold nodes, aren't going and have no work under way; a ready move is none."""
        self.decisions: list[Extend] = []
        self.due_ms: Millis | None = None
        """When notice is to be given for nodes that others leave as it ends, if that is the earliest start then."""
        self._now_ms = now_ms
        found = (
            _victim(claim, offer(claim.spec.class_name), now_ms)
            for claim in holders
            if claim.metadata.uid not in busy and _can_be_freed(claim, supplies)
        )
        self._victims: dict[frozenset[str], list[Victim]] = {}
        """leases -> claims that hold nodes of these, in order"""
        for victim in sorted((v for v in found if v is not None), key=lambda v: v.rank):
            for leases in victim.leases:
                self._victims.setdefault(leases, []).append(victim)

    def spare(self, decided: Collection[ClaimUID]) -> None:
        """Leave claims alone that something was decided for."""
        for leases, victims in self._victims.items():
            self._victims[leases] = [v for v in victims if v.uid not in decided]

    def make_room(
        self,
        demand: Demand,
        supplies: Sequence[LeaseSupply],
        before_ms: Millis,
        begins: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Take back what a blocked claim needs, and say whether that makes it fit before the instant when it fits anyway.

        One without a duration fits up to a window, too. The supplies show what was taken back as free after its notice.
        `begins`: asked at last, whether the claim gets a start by that; if not, nobody is taken back.
        """
        for stop_ms in (FOREVER, *reversed(stops_of(demand, supplies)[:_STOPS_TRIED])):
            with opened(supplies, stop_ms):
                best = self._best(demand, supplies, min(before_ms, stop_ms))
            if best is not None:
                return self._tell(best.victims, supplies, begins)
        return False

    def _tell(
        self,
        victims: Sequence[Victim],
        supplies: Sequence[LeaseSupply],
        begins: Callable[[], bool],
    ) -> bool:
        """Take claims back if the one that needs them gets a start by that."""
        for victim in victims:
            _move(supplies, victim, victim.leaves_ms)
        if not begins():
            _put_back(supplies, victims)
            return False
        for victim in victims:
            for leases in victim.leases:
                self._victims[leases].remove(victim)
            self.decisions.append(Extend(victim.uid, victim.notice_ms, ReleaseCause.PREEMPTED))
        return True

    def _best(
        self, demand: Demand, supplies: Sequence[LeaseSupply], before_ms: Millis
    ) -> _Choice | None:
        """Return whom to take back: the least of what is enough."""
        alone = () if demand.claim.spec.placement.is_spread else supplies
        found = [choice for s in alone for choice in self._choices(demand, [s], before_ms)]
        # where one lease needs two of them, one may be enough beside what is free elsewhere
        is_certain = any(len(choice.victims) == 1 for choice in found)
        if not is_certain and len(supplies) > 1 and not must_have_one_node(demand.claim):
            found += self._choices(demand, supplies, before_ms)
        return min(found, key=lambda choice: choice.cost, default=None)

    def _choices(
        self, demand: Demand, supplies: Sequence[LeaseSupply], before_ms: Millis
    ) -> Iterator[_Choice]:
        """Yield whom to tell on these leases, for each length of notice: a long one mustn't hide what a short one gives."""
        here = self._below(demand.priority, supplies)
        for leaves_ms, gone_ms in sorted({(v.leaves_ms, v.gone_ms) for v in here}):
            if _rested(supplies, gone_ms) >= before_ms:
                return  # waiting for who ends by itself is as quick
            at_ms = _rested(supplies, leaves_ms)
            may_go = [v for v in here if v.leaves_ms <= leaves_ms]
            taken = _enough(demand, supplies, may_go, at_ms)
            if taken:
                needed = _needed(demand, supplies, taken, at_ms)
                if any(v.leaves_ms == leaves_ms for v in needed):
                    yield _Choice(supplies, needed)
                continue
            later = find_opening(demand.at(at_ms), supplies, at_ms)
            _put_back(supplies, may_go)
            if later is not None and later.at_ms < before_ms:
                due_ms = Millis(self._now_ms + later.at_ms - at_ms)
                self.due_ms = min(due_ms, self.due_ms or FOREVER)

    def _below(self, priority: int, supplies: Sequence[LeaseSupply]) -> list[Victim]:
        """Return the victims of lower priority, in order, that have all their nodes on these leases, or come to such."""
        uids = {supply.uid for supply in supplies}
        found: list[Victim] = []
        for leases, victims in self._victims.items():
            if leases <= uids:
                found += victims[
                    : bisect_left(victims, priority, key=lambda v: v.allocation.priority)
                ]
        if len(supplies) == 1:
            return found
        once = {victim.uid: victim for victim in found}  # one that moves stands under both
        return sorted(once.values(), key=lambda v: v.rank)


def _enough(
    demand: Demand, supplies: Sequence[LeaseSupply], victims: Sequence[Victim], at_ms: Millis
) -> list[Victim]:
    """Take so many victims, twice as many each time, that the claim fits at an instant; [] if it doesn't with all."""
    taken: list[Victim] = []
    while more := victims[len(taken) : 2 * len(taken) + 1]:
        for victim in more:
            _move(supplies, victim, victim.leaves_ms)
        taken += more
        if opening_at(demand, supplies, at_ms) is not None:
            return taken
    return []


def _needed(
    demand: Demand, supplies: Sequence[LeaseSupply], taken: Sequence[Victim], at_ms: Millis
) -> list[Victim]:
    """Put victims back, the one of most worth first, and return those without whom the claim wouldn't fit."""
    needed: list[Victim] = []
    for victim in reversed(taken):
        _put_back(supplies, [victim])
        if opening_at(demand, supplies, at_ms) is None:
            _move(supplies, victim, victim.leaves_ms)
            needed.append(victim)
    _put_back(supplies, needed)
    return needed


def _put_back(supplies: Sequence[LeaseSupply], victims: Iterable[Victim]) -> None:
    for victim in victims:
        _move(supplies, victim)


def _rested(supplies: Iterable[LeaseSupply], at_ms: Millis) -> Millis:
    """Return when nodes that are left at an instant have rested, whichever of these leases they are of."""
    return max(supply.whole.rested(at_ms) for supply in supplies)


def _move(supplies: Iterable[LeaseSupply], victim: Victim, until_ms: Millis | None = None) -> None:
    """Move the end of all that a victim holds; None: back to where it was."""
    for supply in supplies:
        for held, before_ms in victim.holds:
            supply.move_end(victim.uid, held, until_ms if until_ms is not None else before_ms)


def _can_be_freed(claim: GpuClaim, supplies: Mapping[LeaseUID, LeaseSupply]) -> bool:
    """Say whether all clusters answer that the release of a claim on several leases asks before it frees any node."""
    if claim.status.move is None and not claim.status.leaving:
        return True  # its leases are all among those that have room for whoever needs it
    found = (supplies.get(LeaseUID(place.lease_uid)) for place in all_nodes(claim))
    return all(supply is not None and not supply.is_silent for supply in found)


def _victim(claim: GpuClaim, offer: GpuClass | None, now_ms: Millis) -> Victim | None:
    allocation = claim.status.allocation
    if offer is None or offer.spec.guarantee is not Guarantee.PREEMPTIBLE:
        return None
    if allocation is None or allocation.is_ahead or is_true(claim.status.conditions, "Releasing"):
        return None
    if allocation.until_cause is ReleaseCause.PREEMPTED:
        return None  # a notice that was given is never shortened
    move = claim.status.move
    if move is not None and not move.awaits_lease_end:
        return None  # its new nodes are being made ready, or wait for that
    notice = Millis(now_ms + offer.spec.notice_seconds * MS_PER_SECOND)
    leaves = notice if notice > now_ms else Millis(now_ms + RELEASE_MS)
    holds = tuple(_holds(claim, allocation, move))
    victim = Victim(ClaimUID(claim.metadata.uid), allocation, notice, leaves, holds)
    return victim if notice < victim.until_ms else None


def _holds(
    claim: GpuClaim, allocation: Allocation, move: Move | None
) -> Iterator[tuple[Allocation, Millis]]:
    yield allocation, allocation.until_time if allocation.until_time is not None else FOREVER
    if move is not None:
        there, _ = end_there(allocation, move)
        fresh = fresh_nodes(allocation, move)
        coming = allocation.model_copy(update={"placements": fresh})
        yield coming, there if there is not None else FOREVER
