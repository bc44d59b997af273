"""Whose GPUs are taken back for a claim that ranks higher: of Preemptible classes, with notice, from nobody in vain.

A victim's end is moved to the end of its notice; nothing else happens then. The blocked claim's opening appears at that
instant by itself and is kept for it like any other, so a pass that comes after finds nothing left to preempt. Victims
are looked for on one lease at a time and, where that doesn't suffice, on all together; on the supply as it is, and only
where taking them back makes the claim fit sooner than it would anyway.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import GpuClass, Guarantee
from sublet.api.ids import ClaimUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.decisions import Extend
from sublet.book.demand import Demand
from sublet.book.holdings import RELEASE_MS
from sublet.book.placement import find_place
from sublet.book.shape import must_have_one_node
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply


@dataclass(frozen=True, slots=True)
class Victim:
    """A claim that may be taken back, and when its notice would be over."""

    uid: ClaimUID
    allocation: Allocation
    notice_ms: Millis

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


class Preemption:
    """The claims of one pass that may be taken back, and those that are."""

    def __init__(
        self,
        holders: Iterable[GpuClaim],
        offer: Callable[[str], GpuClass | None],
        busy: Collection[ClaimUID],
        now_ms: Millis,
    ) -> None:
        """Look for claims of Preemptible classes that hold nodes, aren't going and have no work under way."""
        self.decisions: list[Extend] = []
        found = (
            _victim(claim, offer(claim.spec.class_name), now_ms)
            for claim in holders
            if claim.metadata.uid not in busy
        )
        self._victims = sorted((v for v in found if v is not None), key=lambda v: v.rank)

    def spare(self, decided: Collection[ClaimUID]) -> None:
        """Leave claims alone that something was decided for."""
        self._victims = [v for v in self._victims if v.uid not in decided]

    def make_room(self, demand: Demand, supplies: Sequence[LeaseSupply], before_ms: Millis) -> bool:
        """Take back what a blocked claim needs, and say whether that makes it fit before the instant when it fits anyway.

        The supplies show what was taken back as free after its notice.
        """
        spread = demand.claim.spec.placement.is_spread  # then no lease has room for it alone
        found = self._choices(([s] for s in supplies if not spread), demand, before_ms)
        # where one lease needs two of them, one may be enough beside what is free elsewhere
        is_certain = any(len(victims) == 1 for _, victims in found)
        if not is_certain and len(supplies) > 1 and not must_have_one_node(demand.claim):
            found += self._choices((supplies,), demand, before_ms)
        if not found:
            return False
        on, victims = min(found, key=lambda each: _cost(each[1]))
        for victim in victims:
            _move(on, victim, victim.notice_ms)
            self._victims.remove(victim)
            self.decisions.append(Extend(victim.uid, victim.notice_ms, ReleaseCause.PREEMPTED))
        return True

    def _choices(
        self, groups: Iterable[Sequence[LeaseSupply]], demand: Demand, before_ms: Millis
    ) -> list[tuple[Sequence[LeaseSupply], list[Victim]]]:
        """Return the groups of leases on which victims are enough, with these."""
        found = ((group, self._on(group, demand, before_ms)) for group in groups)
        return [(group, victims) for group, victims in found if victims]

    def _on(
        self, supplies: Sequence[LeaseSupply], demand: Demand, before_ms: Millis
    ) -> list[Victim]:
        """Return the victims on these leases without which the claim wouldn't fit there, [] if it doesn't fit anyway."""
        uids = {supply.uid for supply in supplies}
        taken: list[Victim] = []
        fits = False
        for victim in self._victims:
            if victim.allocation.priority >= demand.priority:
                break
            if victim.allocation.lease_uids <= uids:
                _move(supplies, victim, victim.notice_ms)
                taken.append(victim)
                fits = _fits(demand, supplies, taken, before_ms)
                if fits:
                    break
        needed = list(taken) if fits else []
        for victim in tuple(needed):
            _move(supplies, victim, victim.until_ms)
            if _fits(demand, supplies, taken, before_ms):
                needed.remove(victim)
            else:
                _move(supplies, victim, victim.notice_ms)
        for victim in taken:
            _move(supplies, victim, victim.until_ms)
        return needed


def _move(supplies: Iterable[LeaseSupply], victim: Victim, until_ms: Millis) -> None:
    for supply in supplies:
        supply.move_end(victim.uid, victim.allocation, until_ms)


def _victim(claim: GpuClaim, offer: GpuClass | None, now_ms: Millis) -> Victim | None:
    allocation = claim.status.allocation
    if offer is None or offer.spec.guarantee is not Guarantee.PREEMPTIBLE:
        return None
    if allocation is None or allocation.is_ahead or is_true(claim.status.conditions, "Releasing"):
        return None
    if claim.status.move is not None:
        return None
    if allocation.until_cause is ReleaseCause.PREEMPTED:
        return None  # a notice that was given is never shortened
    notice = Millis(now_ms + offer.spec.notice_seconds * MS_PER_SECOND)
    victim = Victim(ClaimUID(claim.metadata.uid), allocation, notice)
    return victim if notice < victim.until_ms else None


def _fits(
    demand: Demand, supplies: Sequence[LeaseSupply], taken: Sequence[Victim], before_ms: Millis
) -> bool:
    """Say whether the claim would have its GPUs here, and sooner than anyway, once these notices are over."""
    left = max(v.notice_ms for v in taken)
    # they leave within the time that a release is given, or waiting for who ends by itself is as quick
    if max(s.whole.rested(Millis(left + RELEASE_MS)) for s in supplies) >= before_ms:
        return False
    # nodes of a claim that is told without notice are held now, too
    rested = max(Millis(left + 1), *(s.whole.rested(left) for s in supplies))
    later = replace(demand.at(rested), is_ahead=True)
    running = [s for s in supplies if rested < later.until_on(s.ends_ms) <= s.ends_ms]
    return bool(running) and find_place(later, running) is not None


def _cost(victims: Sequence[Victim]) -> tuple[int, int, int, list[tuple[int, int, int, str]]]:
    """Return what makes a choice of victims worse: their highest priority, their GPUs, their number."""
    return (
        max(v.allocation.priority for v in victims),
        sum(v.allocation.gpus for v in victims),
        len(victims),
        [v.rank for v in victims],
    )
