"""Claims that are new, decided on the state that a pass left: just as a pass over all claims would decide them.

Whoever waits stays refused, since nothing was freed, and its turn stays what it was. So a newcomer's own turn among
those that wait says what it would find: what is given, and the room that is kept for claims in front of it. Where that
isn't what the state shows, nothing is decided here, and the caller plans anew.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from sublet.api.ids import TenantUID
from sublet.book.bargain import looks_of
from sublet.book.decisions import Refuse, Reserve
from sublet.book.demand import Demand
from sublet.book.order import Rank, Turn, rank, turn_of
from sublet.book.plan import Pass

NEVER_TAKEN_BACK: Final = 2**31
"""Higher than any priority."""

_Queue = tuple[TenantUID, str]


@dataclass(frozen=True, slots=True)
class _Waits:
    """The turn of a claim that waits."""

    turn: Turn
    rank: Rank
    """Its place in its queue."""
    queue: _Queue


class Line:
    """Those that wait, in their order, and newcomers that find their places between them."""

    def __init__(self, work: Pass) -> None:
        """Take over a settled pass."""
        self._work = work
        self._waits = [_waits(d, work) for d in work.waiting]
        self.is_outdated = False
        """Somebody who waits was told more than is true since."""

    @property
    def highest(self) -> int:
        """Return the highest priority that waits."""
        return max((-waits.turn[0] for waits in self._waits), default=-NEVER_TAKEN_BACK)

    def serve(self, demands: Iterable[Demand], lowest_held: int) -> list[Reserve | Refuse] | None:
        """Return a decision for each demand in the order of their turns; None if a pass would decide otherwise.

        `lowest_held`: the lowest priority from which something could be taken back.
        """
        queues: dict[_Queue, list[Demand]] = defaultdict(list)
        for demand in demands:
            queues[_queue_of(demand)].append(demand)
        for queue in queues.values():
            queue.sort(key=lambda d: rank(d.claim, d.priority), reverse=True)
        made: list[Reserve | Refuse] = []
        has_shifted = False  # the turns of those that wait aren't what they were
        while queues:
            (place, _), name = min((self._place_of(q[-1]), name) for name, q in queues.items())
            demand = queues[name].pop()
            if not queues[name]:
                del queues[name]
            decision = self._decide(demand, place)
            if isinstance(decision, Reserve):
                has_shifted |= any(w.queue[0] == demand.tenant_uid for w in self._waits)
            elif decision is None or has_shifted or lowest_held < demand.priority:
                return None
            made.append(decision)
        return made

    def _place_of(self, demand: Demand) -> tuple[int, Turn]:
        """Return how many that wait come before a demand: all of its own queue, and whoever is in front of it then."""
        turn, queue = turn_of(demand, self._work.shares), _queue_of(demand)
        place = 0
        for index, waits in enumerate(self._waits):
            if waits.queue == queue:
                place = index + 1
        while place < len(self._waits) and self._waits[place].turn < turn:
            place += 1
        return place, turn

    def _decide(self, demand: Demand, place: int) -> Reserve | Refuse | None:
        work = self._work
        if place < work.behind or self._is_overtaking(demand):
            return None
        is_last = place == len(self._waits)
        waits = _waits(demand, work)
        decision = work.decide_on(demand)
        if isinstance(decision, Reserve):
            self.is_outdated |= bool(self._waits)
            return decision
        passed_over = work.passed_over.pop()
        if not is_last:
            # of the same looks as one in front of it, or the next one, that was passed over
            mine, known = looks_of(demand, decision.reason), work.passed_over[: place + 1]
            passed_over = next((looks for looks in mine if looks in known), None)
            if passed_over is None:
                return None  # it would have been looked at before those behind it
        work.waiting.insert(place, work.waiting.pop())
        work.passed_over.insert(place, passed_over)
        self._waits.insert(place, waits)
        if is_last:
            return decision
        self.is_outdated = True
        name = demand.claim.spec.class_name
        ahead = sum(each.queue[1] == name for each in self._waits[:place])
        return replace(decision, position=ahead + 1)

    def _is_overtaking(self, demand: Demand) -> bool:
        """Say whether a demand ranks before one of its own queue that waits already."""
        mine, queue = rank(demand.claim, demand.priority), _queue_of(demand)
        return any(waits.queue == queue and waits.rank > mine for waits in self._waits)


def _queue_of(demand: Demand) -> _Queue:
    return (demand.tenant_uid, demand.claim.spec.class_name)


def _waits(demand: Demand, work: Pass) -> _Waits:
    turn = turn_of(demand, work.shares)
    return _Waits(turn, rank(demand.claim, demand.priority), _queue_of(demand))
