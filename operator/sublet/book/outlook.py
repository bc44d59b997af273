"""What a lease will be able to sell: the next steps of committed, sellable, reserved and free GPUs. Pure.

Only instants to come stand in it, each with what holds from then on; what is now stands in the inventory. So it
changes when something happens or a step is reached, and never by time alone. Written into `status.outlook` by the
hub, read by the platform team.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from sublet.api.gpulease import GpuLease, OutlookStep
from sublet.api.times import Millis
from sublet.book.contract import commitment_changes
from sublet.book.holdings import Term
from sublet.book.maintenance import taken_away
from sublet.book.steps import FOREVER, Steps

MAX_STEPS: Final = 64
"""Later steps are left out."""


def outlook(
    lease: GpuLease, *, delivered: int, healthy: int, terms: Sequence[Term], now_ms: Millis
) -> tuple[OutlookStep, ...]:
    """Return the first steps after now at which a count changes, at most `MAX_STEPS`.

    `delivered` and `healthy` are the lease's GPUs on nodes, in all and usable; `terms` what is held of it.
    """
    future = _Future(lease, delivered, healthy, terms, now_ms)
    return tuple(islice(future.changes(), MAX_STEPS))


class _Future:
    """One lease from now on."""

    def __init__(
        self,
        lease: GpuLease,
        delivered: int,
        healthy: int,
        terms: Iterable[Term],
        now_ms: Millis,
    ) -> None:
        commitment = commitment_changes(lease)
        held = [change for each in terms for change in _changes(each, now_ms)]
        term = lease.spec.term
        self._begins_ms, self._closes_ms = term.start_time, term.last_usable_ms() or FOREVER
        self._committed = Steps(now_ms, commitment)
        self._reserved = Steps(now_ms, held)
        self._healthy = healthy
        self._known = max(delivered, self._committed.at(now_ms))
        """What stands on nodes or should: what is late today isn't counted as coming with a later phase."""
        self._now_ms = now_ms
        edges = {at for at, _ in (*commitment, *held)} | {self._begins_ms, self._closes_ms}
        self._away = Steps(now_ms, [c for b, e, n in taken_away(lease) for c in ((b, n), (e, -n))])
        edges |= set(self._away.edges)
        self._edges = sorted(at for at in edges if now_ms < at < FOREVER)

    def changes(self) -> Iterable[OutlookStep]:
        """Yield the steps to come, in order; an instant at which no count changes is none."""
        before = self._step(self._now_ms)
        for at_ms in self._edges:
            step = self._step(at_ms)
            if step != before.model_copy(update={"time": at_ms}):
                yield step
                before = step

    def _step(self, at_ms: Millis) -> OutlookStep:
        committed, reserved = self._committed.at(at_ms), self._reserved.at(at_ms)
        sells = self._begins_ms <= at_ms < self._closes_ms
        there = min(committed, self._healthy) if sells else 0
        coming = max(0, committed - self._known) if sells else 0
        away = min(committed, self._away.at(at_ms)) if sells else 0
        sellable = max(0, min(committed, self._healthy + coming) - away) if sells else 0
        there = min(there, sellable)
        return OutlookStep(
            time=at_ms,
            committed=committed,
            sellable=sellable,
            undelivered=sellable - there,
            maintenance=away,
            reserved=reserved,
            free=max(0, sellable - reserved),
        )


def _changes(term: Term, now_ms: Millis) -> tuple[tuple[Millis, int], tuple[Millis, int]]:
    begin = term.from_ms if term.from_ms is not None else now_ms
    return (begin, term.gpus), (term.until_ms, -term.gpus)
