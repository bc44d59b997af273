"""Usage over a window: exact GPU-milliseconds and gross charges, by claim, tenant or lease. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from sublet.api.times import MS_PER_HOUR, Millis
from sublet.ledger.entry import EntryKind
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
    # quantity times price, exact; divided once below, so that nothing is rounded on the way
    money: dict[tuple[str, EntryKind, str], Decimal] = defaultdict(Decimal)
    for interval in held:
        amount = interval.gpu_milliseconds(from_ms, to_ms)
        if amount == 0:
            continue
        uid = _uid(interval, by)
        quantity[uid, interval.kind] += amount
        if interval.kind is EntryKind.BOUND:
            terms = prices[interval.price_hash]
            money[uid, interval.kind, terms.currency] += amount * terms.per_gpu_hour
    return [
        Usage(uid, kind, quantity[uid, kind], _charges(uid, kind, money))
        for uid, kind in sorted(quantity)
    ]


def _charges(
    uid: str, kind: EntryKind, money: Mapping[tuple[str, EntryKind, str], Decimal]
) -> dict[str, Decimal]:
    return {
        currency: total / MS_PER_HOUR
        for (each, its_kind, currency), total in sorted(money.items())
        if (each, its_kind) == (uid, kind)
    }


def rounded(amount: Decimal, places: int = 2) -> Decimal:
    """Round money once, where it is shown: half to even, to the currency's minor unit."""
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)


def _uid(interval: Interval, by: By) -> str:
    if by is By.CLAIM:
        return interval.claim_uid
    return interval.tenant_uid if by is By.TENANT else interval.lease_uid
