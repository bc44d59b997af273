"""Usage over a window: exact GPU-milliseconds and gross charges, by claim, tenant or lease. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from sublet.api.rating import Rate, charges
from sublet.api.times import Millis
from sublet.ledger.entry import BILLED, EntryKind
from sublet.ledger.interval import Interval
from sublet.ledger.terms import PriceTerms


class By(StrEnum):
    """What usage is summed by."""

    CLAIM = "claim"
    TENANT = "tenant"
    LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Usage:
    """One line: the quantity is exact; the charge is exact too and rounded only where it is shown."""

    uid: str
    kind: EntryKind
    gpu_milliseconds: int
    charges: Mapping[str, Decimal]
    """currency -> exact amount; empty for what isn't billed"""
    metered: Mapping[str, int]
    """currency -> GPU-milliseconds that are priced in it"""


def usage(
    held: Iterable[Interval],
    prices: Mapping[str, PriceTerms],
    *,
    by: By,
    from_ms: Millis,
    to_ms: Millis,
) -> list[Usage]:
    """Sum intervals inside [from_ms, to_ms), sorted by UID and kind."""
    quantity: dict[tuple[str, EntryKind], int] = defaultdict(int)
    # what is billed, beside its price: (UID, kind) -> rate -> GPU-milliseconds
    billed: dict[tuple[str, EntryKind], dict[Rate, int]] = defaultdict(lambda: defaultdict(int))
    for interval in held:
        amount = interval.gpu_milliseconds(from_ms, to_ms)
        if amount == 0:
            continue
        key = (_uid(interval, by), interval.kind)
        quantity[key] += amount
        if interval.kind in BILLED:
            terms = prices[interval.price_hash]
            billed[key][Rate(terms.per_gpu_hour, terms.currency)] += amount
    return [
        Usage(*key, quantity[key], charges(billed[key]), _by_currency(billed[key]))
        for key in sorted(quantity)
    ]


def _by_currency(billed: Mapping[Rate, int]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for rate, amount in billed.items():
        found[rate.currency] += amount
    return dict(found)


def rounded(amount: Decimal, places: int = 2) -> Decimal:
    """Round money once, where it is shown: half to even, to the currency's minor unit."""
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)


def _uid(interval: Interval, by: By) -> str:
    if by is By.CLAIM:
        return interval.claim_uid
    return interval.tenant_uid if by is By.TENANT else interval.lease_uid
