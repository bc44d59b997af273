"""From a claim's recorded state to lines of the ledger. Level-triggered: the same state gives the same lines.

Instants are those the object records (boundTime, releaseTime, the end of Releasing), never "now", so that a restart,
a second operator or a catch-up after the store was away gives the same bill.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from sublet.api.claim_status import released_ms
from sublet.api.downtime import Downtime
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.outage import Outage
from sublet.api.relocation import Leaving
from sublet.api.times import Millis
from sublet.hub.marks import Marks
from sublet.ledger.audit import AuditRecord
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.past import Past
from sublet.ledger.port import LedgerPort
from sublet.ledger.terms import PriceTerms, content_hash, tags_text
from sublet.ledger.texts.evidence import Evidence
from sublet.ledger.texts.reservation import ReservationTerms

MAX_REMEMBERED = 200_000


def facts_of(claim: GpuClaim) -> list[Fact]:
    """Return every line that a claim's status calls for, in ledger order; a reservation's terms before its others."""
    allocation = claim.status.allocation
    if allocation is None:
        return []
    left = (fact for each in claim.status.leaving for fact in _left_facts(claim, allocation, each))
    lines = [
        *left,
        *_facts(claim, allocation),
        *_cancelled(claim, allocation),
        *_beside(claim, allocation, EntryKind.DISPUTED, claim.status.outages),
        *_beside(claim, allocation, EntryKind.DOWNTIME, claim.status.downtimes),
    ]
    return [*_terms(claim, allocation, lines), *lines]


def texts_of(claim: GpuClaim) -> dict[str, str]:
    """Return the texts behind the hashes of a claim's lines: hash -> text."""
    allocation = claim.status.allocation
    if allocation is None:
        return {}
    tags = tags_text(allocation.tags)
    prices = {price.hash: price.text for price in prices_of(allocation)}
    seen = (Evidence(cause=each.cause) for each in claim.status.downtimes)
    agreed = ReservationTerms.of(claim)
    texts = {**prices, content_hash(tags): tags, **{each.hash: each.text for each in seen}}
    return {**texts, agreed.hash: agreed.text} if agreed is not None else texts


def prices_of(allocation: Allocation) -> Iterator[PriceTerms]:
    """Yield the prices of a claim's lines: that of its GPUs, and that of what it gave up."""
    yield PriceTerms(allocation.price_per_gpu_hour, allocation.currency)
    part = _part_price(allocation)
    if part is not None and allocation.given_up:
        yield part


def past_of(claim: GpuClaim, lost: Mapping[str, Millis]) -> Past | None:
    """Return what a claim's status says of reservations before the one that it has; None if that is its first.

    `lost`: lease UID -> until when GPUs of a lost lease are known to have worked.
    """
    allocation, release = claim.status.allocation, claim.status.release
    if allocation is None or allocation.sequence == 1:
        return None
    came_ms = allocation.bound_time or allocation.decided_time
    since_ms, used_ms = allocation.since_time or came_ms, claim.status.used_milliseconds or 0
    was_bound = allocation.bound_time is not None and released_ms(claim) is not None
    if was_bound and release is not None and not release.cause.is_final:
        used_ms -= max(0, release.release_time - since_ms)  # this one's time is in it by now
    uid = ClaimUID(claim.metadata.uid)
    return Past(uid, allocation.sequence, since_ms, came_ms, used_ms, lost)


def _terms(claim: GpuClaim, allocation: Allocation, lines: list[Fact]) -> Iterator[Fact]:
    """Yield what each reservation that has lines agreed to: over moves and slipping promises it stays the same."""
    agreed = ReservationTerms.of(claim)
    for sequence in dict.fromkeys(line.sequence for line in lines if agreed is not None):
        fact = _fact(
            claim,
            allocation,
            sequence,
            LeaseUID(""),
            0,
            EntryKind.TERMS,
            EntryType.SET,
            allocation.decided_time,
        )
        yield replace(fact, price_hash=agreed.hash if agreed is not None else "", tags_hash="")


def _facts(claim: GpuClaim, allocation: Allocation) -> Iterator[Fact]:
    gpus: dict[LeaseUID, int] = defaultdict(int)
    for place in allocation.placements:
        gpus[LeaseUID(place.lease_uid)] += place.gpus
    release = claim.status.release
    current = release if release is not None and release.sequence == allocation.sequence else None
    done = released_ms(claim) if current is not None else None
    for lease_uid in sorted(gpus):
        fact = partial(_fact, claim, allocation, allocation.sequence, lease_uid, gpus[lease_uid])
        if allocation.bound_time is not None:
            yield fact(EntryKind.BOUND, EntryType.OPEN, allocation.bound_time)
            if current is not None:
                yield fact(EntryKind.BOUND, EntryType.CLOSE, current.release_time)
        if current is not None:
            yield fact(EntryKind.RELEASING, EntryType.OPEN, current.release_time)
            if done is not None:
                # seconds on the wire: an interval is never negative
                yield fact(
                    EntryKind.RELEASING, EntryType.CLOSE, Millis(max(done, current.release_time))
                )


def _left_facts(claim: GpuClaim, allocation: Allocation, left: Leaving) -> Iterator[Fact]:
    """Yield the lines of an earlier reservation, of which other nodes took the place; price and tags are the same."""
    for each in left.metered:
        fact = partial(_fact, claim, allocation, left.sequence, LeaseUID(each.lease_uid), each.gpus)
        yield fact(EntryKind.BOUND, EntryType.OPEN, left.bound_time)
        yield fact(EntryKind.BOUND, EntryType.CLOSE, left.release_time)
    gone: dict[LeaseUID, int] = defaultdict(int)
    for place in left.placements:
        gone[LeaseUID(place.lease_uid)] += place.gpus
    for lease_uid in sorted(gone):
        fact = partial(_fact, claim, allocation, left.sequence, lease_uid, gone[lease_uid])
        yield fact(EntryKind.RELEASING, EntryType.OPEN, left.release_time)
        if left.freed_time is not None:
            freed = Millis(max(left.freed_time, left.release_time))
            yield fact(EntryKind.RELEASING, EntryType.CLOSE, freed)


def _fact(
    claim: GpuClaim,
    allocation: Allocation,
    sequence: int,
    lease_uid: LeaseUID,
    gpus: int,
    kind: EntryKind,
    type_: EntryType,
    at_ms: Millis,
) -> Fact:
    return Fact(
        claim_uid=ClaimUID(claim.metadata.uid),
        sequence=sequence,
        tenant_uid=TenantUID(allocation.tenant_uid),
        lease_uid=lease_uid,
        kind=kind,
        type=type_,
        gpus=gpus,
        at_ms=at_ms,
        price_hash=allocation.price_hash,
        tags_hash=content_hash(tags_text(allocation.tags)),
        source_version=claim.metadata.resource_version,
    )


def _cancelled(claim: GpuClaim, allocation: Allocation) -> Iterator[Fact]:
    """Yield what was given up too late as GPUs for that time, at the part of the price that the terms say."""
    price = _part_price(allocation)
    for given in allocation.given_up if price is not None else ():
        edges = ((EntryType.OPEN, given.from_time), (EntryType.CLOSE, given.until_time))
        for type_, at_ms in edges:
            yield Fact(
                claim_uid=ClaimUID(claim.metadata.uid),
                sequence=given.sequence,
                tenant_uid=TenantUID(allocation.tenant_uid),
                lease_uid=LeaseUID(given.lease_uid),
                kind=EntryKind.CANCELLED,
                type=type_,
                gpus=given.gpus,
                at_ms=at_ms,
                price_hash=price.hash if price is not None else "",
                tags_hash=content_hash(tags_text(allocation.tags)),
                source_version=claim.metadata.resource_version,
            )


def _beside(
    claim: GpuClaim, allocation: Allocation, kind: EntryKind, times: Iterable[Outage | Downtime]
) -> Iterator[Fact]:
    """Yield what stands beside the bill: clusters that didn't answer, GPUs that didn't work; at most until the meter stopped."""
    release = claim.status.release
    stops = {x.sequence: x.release_time for x in claim.status.leaving}
    if release is not None:
        stops[release.sequence] = release.release_time
    for each in times:
        fact = partial(_beside_fact, claim, allocation, each)
        yield fact(kind, EntryType.OPEN, each.from_time)
        until = each.until_time if each.until_time is not None else stops.get(each.sequence)
        if until is not None:
            # downtimes touch: none is empty, or two would share a line
            least = each.from_time + (kind is EntryKind.DOWNTIME)
            yield fact(kind, EntryType.CLOSE, Millis(max(until, least)))


def _beside_fact(
    claim: GpuClaim,
    allocation: Allocation,
    each: Outage | Downtime,
    kind: EntryKind,
    type_: EntryType,
    at_ms: Millis,
) -> Fact:
    """Return a line that is not billed; one of downtime says why instead of what it costs."""
    lease_uid = LeaseUID(each.lease_uid)
    fact = _fact(claim, allocation, each.sequence, lease_uid, each.gpus, kind, type_, at_ms)
    if isinstance(each, Downtime):
        return replace(fact, price_hash=Evidence(cause=each.cause).hash)
    return fact


def _part_price(allocation: Allocation) -> PriceTerms | None:
    """Return what a GPU-hour that is given up costs, None where nothing is agreed."""
    terms = allocation.cancellation
    if terms is None:
        return None
    return PriceTerms(terms.price(allocation.price_per_gpu_hour), allocation.currency)


class ClaimMeter:
    """Brings claims' lines into the ledger; implements `sublet.binder.ports.Meter`."""

    def __init__(
        self,
        ledger: LedgerPort,
        marks: Marks | None = None,
        records: Callable[[GpuClaim], list[AuditRecord]] = lambda _: [],
    ) -> None:
        """`marks`: what leases, classes and tenants say of money, without which no bill can be made of a line.

        `records` says what the audit trail has of a claim; it is written with the claim's lines.
        """
        self._ledger, self._marks, self._records = ledger, marks, records
        self._settled: dict[str, str] = {}
        """claim UID -> resourceVersion of the claim whose lines are known to be in the ledger"""

    async def settle(self, claim: GpuClaim) -> None:
        """Append all lines of a claim; a no-op if they are known to be there. Raises LedgerUnavailable."""
        if self.is_settled(claim):
            return
        facts, records = facts_of(claim), self._records(claim)
        if facts or records:
            marks, texts = await self._marks.needed_by(claim) if self._marks and facts else ([], {})
            past = past_of(claim, self._marks.lost() if self._marks else {})
            await self._ledger.append([*marks, *facts], {**texts, **texts_of(claim)}, records, past)
            if self._marks is not None:
                self._marks.written(marks)
        if len(self._settled) > MAX_REMEMBERED:
            self._settled.clear()
        self._settled[claim.metadata.uid] = claim.metadata.resource_version

    def is_settled(self, claim: GpuClaim) -> bool:
        """Say whether all lines that this very version of a claim calls for are known to be in the ledger."""
        return self._settled.get(claim.metadata.uid) == claim.metadata.resource_version

    def forget(self, uid: str) -> None:
        """Forget a claim that is gone."""
        self._settled.pop(uid, None)


def needs_meter(claim: GpuClaim) -> bool:
    """Say whether a claim's status may call for lines."""
    allocation = claim.status.allocation
    if allocation is None:
        return False
    billed = allocation.bound_time is not None or bool(allocation.given_up)
    return billed or claim.status.release is not None
