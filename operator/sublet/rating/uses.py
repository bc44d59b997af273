"""What a landlord counts beside the time that was used: each use rounded up, and its minimum. Pure.

A use is the time in which one claim had GPUs of the lease without a gap, over moves within it. Only PayAsYouGo contracts
round, and only a use that is over, as the contract says when it ends. What is added is no GPU time of the lease: nobody had those GPUs longer, another claim may
have them by then, and the commitment is shared out among the states of `sublet.rating.wholesale` without it. So it stands
apart, beside the cells, at the price of a used GPU.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.rating.books import Books, Lined
from sublet.rating.calendar import Span
from sublet.rating.money import owed
from sublet.rating.runs import counted, end_of, runs_of
from sublet.rating.supply import Supply, supply_of


@dataclass(frozen=True, slots=True)
class Extra:
    """Time that a landlord adds to one use, on the GPUs and at the price that it ended with."""

    lease_uid: LeaseUID
    tenant_uid: TenantUID
    claim_uid: ClaimUID
    sequence: int
    """Of the reservation that the use ended with."""
    commitment_id: str
    from_ms: Millis
    to_ms: Millis
    """When the use began and ended; it belongs to the period and cell of its last millisecond."""
    gpu_milliseconds: int
    price: Decimal
    currency: str
    amount: Fraction
    first_seq: int
    last_seq: int


def extras_of(books: Books, lease_uid: LeaseUID, span: Span, as_of_ms: Millis) -> list[Extra]:
    """Return what the landlord of one lease adds to uses that ended in a span; NoTerms if it isn't known."""
    return extras(supply_of(books, lease_uid), span, as_of_ms)


def extras(supply: Supply, span: Span, as_of_ms: Millis) -> list[Extra]:
    """Return what a landlord adds to uses whose last millisecond lies in a span, in the order of their ends."""
    if not supply.pays_by_use or not any(
        x.round_up_to_seconds or x.minimum_seconds for x in supply.billing.values
    ):
        return []
    by_claim: dict[ClaimUID, list[Lined]] = defaultdict(list)
    for lined in supply.evidence.bound:
        if lined.interval.end_ms != lined.interval.start_ms:
            by_claim[lined.interval.claim_uid].append(lined)
    found: list[Extra] = []
    last_ms = min(span.to_ms, as_of_ms)
    for lines in by_claim.values():
        for use in runs_of(lines):
            end = end_of(use)
            if end is not None and span.from_ms < end <= last_ms:
                found += _extra(supply, use, end)
    return sorted(found, key=lambda x: (x.to_ms, x.claim_uid))


def _extra(supply: Supply, use: list[Lined], end: Millis) -> Iterator[Extra]:
    begin = min(x.interval.start_ms for x in use)
    last = Millis(end - 1)
    added = counted(end - begin, supply.billing.at(last)) - (end - begin)
    ending = [x.interval for x in use if x.interval.end_ms == end]
    gpus = sum(x.gpus for x in ending)
    if added:
        price = supply.price.at(last).per_gpu_hour
        yield Extra(
            lease_uid=supply.lease_uid,
            tenant_uid=ending[0].tenant_uid,
            claim_uid=ending[0].claim_uid,
            sequence=max(x.sequence for x in ending),
            commitment_id=supply.committed.at(last)[1],
            from_ms=begin,
            to_ms=end,
            gpu_milliseconds=added * gpus,
            price=price,
            currency=supply.terms.currency,
            amount=owed(added * gpus, price),
            first_seq=min(x.first_seq for x in use),
            last_seq=max(x.last_seq for x in use),
        )
