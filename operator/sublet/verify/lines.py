"""Which lines of the ledger a claim's status calls for, worked out apart from the operator's own meter. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sublet.api.claim_status import released_ms
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.ledger.entry import EntryKind, EntryType, Fact


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """What of a line must be as the claim's status says."""

    sequence: int
    lease_uid: LeaseUID
    kind: EntryKind
    type: EntryType
    gpus: int
    at_ms: Millis


def line_of(fact: Fact) -> Line:
    """Return a fact of the ledger as a line."""
    return Line(fact.sequence, fact.lease_uid, fact.kind, fact.type, fact.gpus, fact.at_ms)


def lines_of(claim: GpuClaim) -> set[Line]:
    """Return every line that a claim's status calls for now: what it has and what it leaves."""
    lines = {*_left(claim), *_current(claim), *_given_up(claim), *_disputed(claim), *_down(claim)}
    return lines | {*_agreed(claim, {line.sequence for line in lines})}


def _current(claim: GpuClaim) -> Iterator[Line]:
    allocation, release = claim.status.allocation, claim.status.release
    if allocation is None:
        return
    over = release.release_time if release and release.sequence == allocation.sequence else None
    freed = released_ms(claim)
    gpus = _by_lease((p.lease_uid, p.gpus) for p in allocation.placements)
    if allocation.bound_time is not None:
        yield from _interval(
            allocation.sequence, gpus, EntryKind.BOUND, allocation.bound_time, over
        )
    if over is not None:
        end = Millis(max(freed, over)) if freed is not None else None
        yield from _interval(allocation.sequence, gpus, EntryKind.RELEASING, over, end)


def _left(claim: GpuClaim) -> Iterator[Line]:
    for left in claim.status.leaving:
        billed = _by_lease((x.lease_uid, x.gpus) for x in left.metered)
        over = left.release_time
        yield from _interval(left.sequence, billed, EntryKind.BOUND, left.bound_time, over)
        going = _by_lease((p.lease_uid, p.gpus) for p in left.placements)
        freed = left.freed_time
        end = Millis(max(freed, over)) if freed is not None else None
        yield from _interval(left.sequence, going, EntryKind.RELEASING, over, end)


def _disputed(claim: GpuClaim) -> Iterator[Line]:
    """Yield when a cluster was silent: until it answered, or the reservation's meter stopped."""
    release = claim.status.release
    stops = {left.sequence: left.release_time for left in claim.status.leaving}
    stops |= {release.sequence: release.release_time} if release is not None else {}
    for each in claim.status.outages:
        until = each.until_time if each.until_time is not None else stops.get(each.sequence)
        end = Millis(max(until, each.from_time)) if until is not None else None
        gpus = {LeaseUID(each.lease_uid): each.gpus}
        yield from _interval(each.sequence, gpus, EntryKind.DISPUTED, each.from_time, end)


def _down(claim: GpuClaim) -> Iterator[Line]:
    """Yield when GPUs of it didn't work: until they did, or the reservation's meter stopped; never for no time."""
    release = claim.status.release
    stops = {left.sequence: left.release_time for left in claim.status.leaving}
    stops |= {release.sequence: release.release_time} if release is not None else {}
    for each in claim.status.downtimes:
        until = each.until_time if each.until_time is not None else stops.get(each.sequence)
        end = Millis(max(until, each.from_time + 1)) if until is not None else None
        gpus = {LeaseUID(each.lease_uid): each.gpus}
        yield from _interval(each.sequence, gpus, EntryKind.DOWNTIME, each.from_time, end)


def _agreed(claim: GpuClaim, sequences: Iterable[int]) -> Iterator[Line]:
    """Yield that each reservation with lines says what it agreed to, of the instant when it was decided."""
    held = claim.status.allocation
    for sequence in sequences if held is not None else ():
        decided = held.decided_time if held is not None else Millis(0)
        yield Line(sequence, LeaseUID(""), EntryKind.TERMS, EntryType.SET, 0, decided)


def _given_up(claim: GpuClaim) -> Iterator[Line]:
    allocation = claim.status.allocation
    if allocation is None or allocation.cancellation is None:
        return
    for given in allocation.given_up:
        gpus = {LeaseUID(given.lease_uid): given.gpus}
        kind = EntryKind.CANCELLED
        yield from _interval(given.sequence, gpus, kind, given.from_time, given.until_time)


def _interval(
    sequence: int, gpus: dict[LeaseUID, int], kind: EntryKind, start: Millis, end: Millis | None
) -> Iterator[Line]:
    for lease_uid, count in gpus.items():
        yield Line(sequence, lease_uid, kind, EntryType.OPEN, count, start)
        if end is not None:
            yield Line(sequence, lease_uid, kind, EntryType.CLOSE, count, end)


def _by_lease(parts: Iterable[tuple[str, int]]) -> dict[LeaseUID, int]:
    found: dict[LeaseUID, int] = defaultdict(int)
    for lease_uid, gpus in parts:
        found[LeaseUID(lease_uid)] += gpus
    return found
