"""Whose GPUs are taken back for a claim that ranks higher: the fewest of Preemptible classes, with notice, never in vain.

A victim's end is moved to the end of its notice; nothing else happens then. The blocked claim's opening appears at that
instant by itself and is kept for it like any other, so a pass that comes after finds nothing left to preempt. Victims
are looked for on one lease at a time and only where taking them back makes the claim fit.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim, ReleaseCause
from sublet.api.gpuclass import GpuClass, Guarantee
from sublet.api.ids import ClaimUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.decisions import Extend
from sublet.book.demand import Demand
from sublet.book.placement import find_place
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply


@dataclass(frozen=True, slots=True)
class Victim:
    """A claim that may be taken back, and from when on its GPUs would be free."""

    claim: GpuClaim
    allocation: Allocation
    free_ms: Millis
    until_ms: Millis

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """Lowest priority first, then fewest GPUs, then youngest."""
        held = self.allocation
        return (held.priority, held.gpus, -held.decided_time, self.claim.metadata.uid)

    def give_back(self, supply: LeaseSupply, sign: int = 1) -> None:
        """Count its GPUs on a lease as free after its notice; with -1 as held again."""
        gpus = sum(p.gpus for p in self.allocation.placements if p.lease_uid == supply.uid)
        nodes = supply.nodes_free_at(self.allocation, self.until_ms)
        for size, count in nodes.items():
            supply.whole.prolong(size, -sign * count, self.free_ms, self.until_ms)
        supply.hold_gpus(-sign * gpus, self.free_ms, self.until_ms)

    @property
    def decision(self) -> Extend:
        """Return its end moved to the end of its notice."""
        return Extend(ClaimUID(self.claim.metadata.uid), self.free_ms, ReleaseCause.PREEMPTED)


class Preemption:
    """The claims of one pass that may be taken back."""

    def __init__(
        self,
        holders: Iterable[GpuClaim],
        offer: Callable[[str], GpuClass | None],
        decided: frozenset[ClaimUID],
        now_ms: Millis,
    ) -> None:
        """Look for claims of Preemptible classes that hold nodes, aren't going and weren't decided on."""
        self._now_ms = now_ms
        found = (
            _victim(claim, offer(claim.spec.class_name), now_ms)
            for claim in holders
            if claim.metadata.uid not in decided
        )
        self._victims = sorted((v for v in found if v is not None), key=lambda v: v.rank)

    def make_room(
        self, demand: Demand, supplies: Sequence[LeaseSupply], before_ms: Millis
    ) -> list[Extend]:
        """Take back what a blocked claim needs; [] if no victims make it fit before the instant when it fits anyway.

        The supplies show what was taken back as free after its notice.
        """
        chosen: tuple[LeaseSupply, list[Victim]] | None = None
        for supply in supplies:
            victims = self._on(supply, demand)
            soon = victims and max(v.free_ms for v in victims) < before_ms
            if soon and (chosen is None or _cost(victims) < _cost(chosen[1])):
                chosen = (supply, victims)
        if chosen is None:
            return []
        supply, victims = chosen
        for victim in victims:
            victim.give_back(supply)
            self._victims.remove(victim)
        return [victim.decision for victim in victims]

    def _on(self, supply: LeaseSupply, demand: Demand) -> list[Victim]:
        """Return the victims on one lease without which the claim wouldn't fit there, [] if it doesn't fit anyway."""
        able = [v for v in self._victims if v.allocation.priority < demand.priority]
        able = [v for v in able if v.allocation.lease_uids == {supply.uid}]
        taken: list[Victim] = []
        for victim in able:
            victim.give_back(supply)
            taken.append(victim)
            if _fits(demand, supply, taken):
                break
        else:
            return self._undo(supply, taken)
        for victim in tuple(taken[:-1]):
            victim.give_back(supply, -1)
            rest = [v for v in taken if v is not victim]
            if _fits(demand, supply, rest):
                taken = rest
            else:
                victim.give_back(supply)
        self._undo(supply, taken)
        return taken

    @staticmethod
    def _undo(supply: LeaseSupply, taken: list[Victim]) -> list[Victim]:
        for victim in taken:
            victim.give_back(supply, -1)
        return []


def _victim(claim: GpuClaim, offer: GpuClass | None, now_ms: Millis) -> Victim | None:
    allocation, conditions = claim.status.allocation, claim.status.conditions
    if offer is None or offer.spec.guarantee is not Guarantee.PREEMPTIBLE:
        return None
    if allocation is None or allocation.is_ahead or is_true(conditions, "Releasing"):
        return None
    until = allocation.until_time if allocation.until_time is not None else FOREVER
    free = Millis(now_ms + offer.spec.notice_seconds * MS_PER_SECOND)
    return Victim(claim, allocation, free, until) if free < until else None


def _fits(demand: Demand, supply: LeaseSupply, taken: Sequence[Victim]) -> bool:
    """Say whether the claim would have its GPUs here once all these notices are over and the nodes have rested."""
    start = max(v.free_ms for v in taken) + supply.whole.rest_ms if taken else demand.start_ms
    later = replace(demand.at(Millis(start)), is_ahead=True)
    return (
        later.until_on(supply.ends_ms) <= supply.ends_ms and find_place(later, [supply]) is not None
    )


def _cost(victims: Sequence[Victim]) -> tuple[int, int, int, list[tuple[int, int, int, str]]]:
    """Lowest priorities first, then the fewest GPUs, then the fewest claims."""
    return (
        max(v.allocation.priority for v in victims),
        sum(v.allocation.gpus for v in victims),
        len(victims),
        [v.rank for v in victims],
    )
