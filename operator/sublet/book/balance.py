"""Coverage over time: what each lease had committed, used, unsold and uncovered in an interval, and its money. Pure.

The integral of `sublet.book.coverage`, exact: GPUs and prices change at edges only, so it is a sum of whole
GPU-milliseconds. Revenue is rated as the ledger rates it. A view knows each claim's last allocation; for a past in
which claims were deleted or reserved again, the ledger knows more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.api.rating import Rate
from sublet.api.times import Millis
from sublet.book.bill import Bill, bill_at
from sublet.book.contract import commitment_changes
from sublet.book.spans import Span, spans_of
from sublet.book.steps import Steps
from sublet.book.trade import Trade
from sublet.book.view import View


@dataclass(frozen=True, slots=True)
class LeaseBalance:
    """One lease over an interval, in GPU-milliseconds; committed = used - uncovered + unsold."""

    lease_uid: LeaseUID
    committed_gpu_milliseconds: int
    used_gpu_milliseconds: int
    unsold_gpu_milliseconds: int
    uncovered_gpu_milliseconds: int
    trade: Trade
    """Money for the whole interval."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of the interval in which nothing of the lease changes."""

    begin_ms: Millis
    milliseconds: int
    committed: int
    used: int


def balance(view: View, from_ms: Millis, until_ms: Millis) -> list[LeaseBalance]:
    """Return each lease's balance over `[from_ms, until_ms)`, by lease UID; all 0 if that is empty.

    What claims hold of a lease that is gone stands under its UID, as uncovered and at unknown cost.
    """
    spans = spans_of(view.claims, view.classes, view.now_ms)
    leases = {LeaseUID(lease.metadata.uid): lease for lease in view.leases}
    return [
        _balance(uid, leases.get(uid), spans.get(uid, []), from_ms, until_ms)
        for uid in sorted({*leases, *spans})
        if uid in leases or any(s.held(from_ms, until_ms) for s in spans[uid])
    ]


def _balance(
    uid: LeaseUID, lease: GpuLease | None, spans: Sequence[Span], from_ms: Millis, until_ms: Millis
) -> LeaseBalance:
    stretches = list(_stretches(lease, spans, from_ms, until_ms))
    sold: Counter[Rate] = Counter()
    given_up: Counter[Rate] = Counter()
    for span in spans:
        if paid := span.paid(from_ms, until_ms):
            (given_up if span.is_given_up else sold)[span.rate] += paid
    bill = _bill(lease, stretches) if lease is not None else None
    return LeaseBalance(
        lease_uid=uid,
        committed_gpu_milliseconds=sum(s.milliseconds * s.committed for s in stretches),
        used_gpu_milliseconds=sum(s.milliseconds * s.used for s in stretches),
        unsold_gpu_milliseconds=sum(
            s.milliseconds * max(0, s.committed - s.used) for s in stretches
        ),
        uncovered_gpu_milliseconds=sum(
            s.milliseconds * max(0, s.used - s.committed) for s in stretches
        ),
        trade=Trade.of(sold, given_up, bill, in_time=True),
    )


def _stretches(
    lease: GpuLease | None, spans: Iterable[Span], from_ms: Millis, until_ms: Millis
) -> Iterator[_Stretch]:
    commitment = commitment_changes(lease) if lease is not None else []
    holding = [change for s in spans for change in ((s.from_ms, s.gpus), (s.until_ms, -s.gpus))]
    edges = {at_ms for at_ms, _ in (*commitment, *holding)}
    if lease is not None:
        edges |= {price.effective_time for price in lease.spec.prices}
    cuts = [from_ms, *sorted(at for at in edges if from_ms < at < until_ms), until_ms]
    committed, used = Steps(from_ms, commitment), Steps(from_ms, holding)
    if from_ms < until_ms:
        for begin, end in pairwise(cuts):
            yield _Stretch(begin, end - begin, committed.at(begin), used.at(begin))


def _bill(lease: GpuLease, stretches: Iterable[_Stretch]) -> Bill:
    found = Bill()
    for each in stretches:
        found.add(bill_at(lease, each.committed, each.used, each.begin_ms), each.milliseconds)
    return found
