"""What a lease's contract says of any instant: how many GPUs are committed, and what one costs us. Pure.

Nothing is committed outside the term, whatever the phases say. Read by coverage, balance and outlook.
"""

from decimal import Decimal

from sublet.api.dated import holding, in_order
from sublet.api.gpulease import GpuLease
from sublet.api.lease_terms import BuyPrice, CommitmentMode
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.steps import FOREVER, Steps


def committed_at(lease: GpuLease, at_ms: Millis) -> int:
    """Return the GPUs committed at an instant; 0 outside the term."""
    term = lease.spec.term
    runs = term.start_time <= at_ms < (term.end_time or FOREVER)
    return lease.spec.commitment.gpus_at(at_ms) if runs else 0


def commitment_changes(lease: GpuLease) -> list[tuple[Millis, int]]:
    """Return (instant, GPUs more or fewer from then on) within the term, in order."""
    term = lease.spec.term
    edges = {max(at_ms, term.start_time) for at_ms in lease.spec.commitment.edges()}
    if term.end_time is not None:
        edges.add(term.end_time)
    changes, before = [], 0
    for at_ms in sorted(edges):
        level = committed_at(lease, at_ms)
        if level != before:
            changes.append((at_ms, level - before))
        before = level
    return changes


def marginal_price_at(lease: GpuLease, at_ms: Millis) -> Decimal:
    """Return what a committed GPU costs more for an hour if it is used than if it isn't."""
    price = terms_at(lease, at_ms)
    if price.holding_per_gpu_hour is not None:
        return price.per_gpu_hour - price.holding_per_gpu_hour
    takes_or_pays = lease.spec.commitment.mode is CommitmentMode.TAKE_OR_PAY
    return Decimal(0) if takes_or_pays else price.per_gpu_hour


def terms_at(lease: GpuLease, at_ms: Millis) -> BuyPrice:
    """Return the prices that hold at an instant; before the first ones, those."""
    prices = lease.spec.prices
    return holding(prices, at_ms) or in_order(prices)[0]


def expected_nodes(
    lease: GpuLease, delivered: int, size: int, now_ms: Millis
) -> list[tuple[Millis, int]]:
    """Return the changes by nodes that phases to come will bring, from what is there or due by now.

    What is late already isn't counted on: it comes when it is seen. Where a step goes down its nodes are there until they
    have rested, for who ends with it; what may be sold then the commitment says.
    """
    known = max(delivered, committed_at(lease, now_ms))
    rest_ms = lease.spec.term.quarantine_seconds * MS_PER_SECOND
    changes: list[tuple[Millis, int]] = []
    level = nodes = 0
    for at_ms, delta in commitment_changes(lease):
        level += delta
        if at_ms > now_ms:
            more = max(0, level - known) // size
            changes.append((at_ms, more - nodes))
            nodes = more
    steps = Steps(now_ms, changes)
    found: list[tuple[Millis, int]] = []
    there = 0
    for at_ms in sorted({Millis(at + wait_ms) for at, _ in changes for wait_ms in (0, rest_ms)}):
        before, there = there, steps.most(Millis(at_ms - rest_ms), Millis(at_ms + 1))
        if there != before:
            found.append((at_ms, there - before))
    return found
