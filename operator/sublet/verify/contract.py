"""No more is sold than was bought: S3 against the commitment, A3. Pure.

A commitment that was lowered below what is bound takes nothing from anybody, so only what was decided since the contract
is as it is now can be held against it; nothing is said of a lease of which nobody knows since when that is.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis, format_instant
from sublet.book.contract import commitment_changes, committed_at
from sublet.ledger.entry import EntryKind
from sublet.ledger.interval import Interval
from sublet.verify.index import Index, about, holds
from sublet.verify.violation import Violation


@dataclass(frozen=True, slots=True)
class _Held:
    """What one claim holds of a lease, and since when."""

    at_ms: Millis
    gpus: int
    claim: GpuClaim
    is_moved: bool
    """When a move was decided isn't recorded: it counts from its cutover, and is judged by nothing."""


def leases_are_not_oversold(index: Index) -> Iterator[Violation]:
    """S3: when a claim got its nodes, all that hold GPUs of the lease, and still do, were within its commitment."""
    for lease_uid, holders in _holders(index).items():
        lease, since = index.leases.get(lease_uid), index.world.spec_changed.get(lease_uid)
        if lease is None or since is None:
            continue
        totals: dict[Millis, int] = {}  # instant -> GPUs held from then on
        together = 0
        for each in sorted(holders, key=lambda h: h.at_ms):
            together += each.gpus
            totals[each.at_ms] = together
        for each in holders:
            total, committed = totals[each.at_ms], committed_at(lease, each.at_ms)
            if not each.is_moved and each.at_ms > since and total > committed:
                text = (
                    f"{total} GPUs were held at {format_instant(each.at_ms)}, when claim {each.claim.metadata.key} "
                    f"got its nodes, of {committed} that are committed; end a claim, or commit more"
                )
                everyone = about(*(h.claim for h in holders))
                yield Violation("S3", f"lease {lease.metadata.name}", text, about=everyone)


def _holders(index: Index) -> dict[LeaseUID, list[_Held]]:
    found: dict[LeaseUID, list[_Held]] = defaultdict(list)
    for claim in index.world.claims:
        allocation = claim.status.allocation
        if allocation is None or not holds(claim):
            continue
        moved = allocation.since_time is not None
        at_ms = (allocation.bound_time if moved else None) or allocation.decided_time
        for lease_uid, gpus in _gpus(allocation).items():
            found[lease_uid].append(_Held(at_ms, gpus, claim, moved))
    return found


def _gpus(allocation: Allocation) -> dict[LeaseUID, int]:
    found: dict[LeaseUID, int] = defaultdict(int)
    for place in allocation.placements:
        found[LeaseUID(place.lease_uid)] += place.gpus
    return found


def sold_time_is_bought(index: Index) -> Iterator[Violation]:
    """A3: the GPU-milliseconds billed of a lease are at most those committed; and so they are whenever one begins."""
    for lease_uid, billed in _billed(index).items():
        lease = index.leases.get(lease_uid)
        if lease is None:
            continue
        subject = f"lease {lease.metadata.name}"
        now_ms, begun = index.world.now_ms, lease.spec.term.start_time
        sold = sum(each.gpu_milliseconds(Millis(0), now_ms) for each in billed)
        bought, level = 0, 0
        last = begun
        for at_ms, change in (*commitment_changes(lease), (now_ms, 0)):
            upto = min(at_ms, now_ms)
            bought += level * max(0, upto - last)
            last, level = Millis(max(last, upto)), level + change
        if sold > bought:
            text = "more was billed to tenants than the landlord is paid for; compare the ledger with the contract"
            figures = f"{sold} GPU-milliseconds of {bought}"
            yield Violation("A3", subject, text, figures=figures)
        since = index.world.spec_changed.get(lease_uid)
        for at_ms, together in _beginnings(billed):
            committed = committed_at(lease, at_ms)
            if since is not None and at_ms > since and together > committed:
                text = f"{together} GPUs are billed from {format_instant(at_ms)} on, of {committed} committed; compare the ledger with the contract"
                yield Violation("A3", subject, text)


def _beginnings(billed: list[Interval]) -> Iterator[tuple[Millis, int]]:
    """Yield when a claim begins to be billed, and the GPUs that are billed then; a move is no beginning."""
    ends = {(b.claim_uid, b.end_ms) for b in billed}
    edges = [(b.end_ms, 0, -b.gpus, False) for b in billed if b.end_ms is not None]
    edges += [
        (b.start_ms, 1, b.gpus, (b.claim_uid, b.start_ms) not in ends)
        for b in billed
        if b.end_ms != b.start_ms
    ]
    together, judged = 0, dict[Millis, int]()
    for at_ms, _, gpus, begins in sorted(edges):
        together += gpus
        if begins or at_ms in judged:
            judged[at_ms] = together
    yield from judged.items()


def _billed(index: Index) -> dict[LeaseUID, list[Interval]]:
    found: dict[LeaseUID, list[Interval]] = defaultdict(list)
    for each in index.intervals:
        if each.kind is EntryKind.BOUND:
            found[each.lease_uid].append(each)
    return found
