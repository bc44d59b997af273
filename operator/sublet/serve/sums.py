"""What the ledger's lines add up to, line by line: one claim's share, and that of tenants and leases. Pure.

Closed intervals are added up and not kept; a claim's own sums are dropped one retention after its last line. The same lines
give the same sums whenever they are read, so that a restart changes none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from sublet.api.gpuclass import Pricing, SellPrice
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.rating import Rate
from sublet.api.times import Millis
from sublet.ledger.entry import BILLED, HOLDING, MARKS, Entry, EntryKind, EntryType, Fact
from sublet.ledger.interval import Fold, Interval
from sublet.ledger.texts.adjustment import Adjustment
from sublet.ledger.texts.evidence import Evidence
from sublet.rating.books import Books


@dataclass(slots=True)
class ClaimSum:
    """What one claim was billed for and how long it was down, without what lasts."""

    namespace: str
    name: str
    since_ms: Millis
    last_ms: Millis
    billed: int = 0
    """GPU-milliseconds"""
    down: dict[str, int] = field(default_factory=dict)
    """cause -> milliseconds"""
    lasting: int = 0
    """How many of its intervals last."""


@dataclass(slots=True)
class Sums:
    """What closed intervals and marks add up to."""

    bound: dict[tuple[TenantUID, LeaseUID], int] = field(default_factory=lambda: defaultdict(int))
    """GPU-milliseconds that tenants are billed for"""
    beside: dict[tuple[LeaseUID, EntryKind], int] = field(default_factory=lambda: defaultdict(int))
    """GPU-milliseconds that stand beside: releasing, disputed, downtime"""
    priced: dict[tuple[TenantUID, Rate], int] = field(default_factory=lambda: defaultdict(int))
    """GPU-milliseconds beside their price"""
    credits: dict[tuple[TenantUID, str], Decimal] = field(default_factory=dict)
    """(tenant, currency) -> what a person gave back, above 0"""
    corrections: dict[tuple[TenantUID, str], Decimal] = field(default_factory=dict)
    """(tenant, currency) -> what a person charged beside, above 0"""
    since: dict[tuple[str, ...], Millis] = field(default_factory=dict)
    """(what, whose …) -> the first instant counted"""
    claims: dict[ClaimUID, ClaimSum] = field(default_factory=dict)
    entries: Counter[EntryKind] = field(default_factory=Counter)
    last_at_ms: Millis | None = None


class Ledgered:
    """The sums, carried on line by line."""

    def __init__(self, books: Books, retention_ms: int) -> None:
        """`books` has taken each line already when it is added here."""
        self.sums = Sums()
        self.fold = Fold()
        self._books = books
        self._retention_ms = retention_ms
        self._rates: dict[str, Rate] = {}  # hash -> price
        self._causes: dict[str, str] = {}  # hash -> why

    def take(self, entry: Entry) -> None:
        """Add the next line; BrokenLedger if it can't be."""
        fact, sums = entry.fact, self.sums
        closed = self.fold.take(fact)
        if fact.kind is EntryKind.ADJUSTMENT:
            self._adjust(fact)
        elif fact.kind not in MARKS and fact.type is EntryType.OPEN:
            self._open(fact)
        elif closed is not None:
            self._close(closed, fact.at_ms)
        sums.entries[fact.kind] += 1
        if fact.kind is not EntryKind.CANCELLED:  # its instants may be in the future
            sums.last_at_ms = Millis(max(sums.last_at_ms or 0, fact.at_ms))

    def pieces(
        self, held: Fact | Interval, begin_ms: Millis, end_ms: Millis
    ) -> Iterable[tuple[Rate, int]]:
        """Return what was held between two instants: GPU-milliseconds beside each price that holds within them."""
        rate = self._rate(held.price_hash)
        dated = self._dated(held)
        end_ms = Millis(max(begin_ms, end_ms))
        if not dated:
            return ((rate, held.gpus * (end_ms - begin_ms)),)
        begun = [p.per_gpu_hour for p in dated if p.effective_time <= begin_ms]
        later = [p for p in dated if begin_ms < p.effective_time < end_ms]
        cuts = [begin_ms, *(p.effective_time for p in later), end_ms]
        levels = [begun[-1] if begun else rate.per_gpu_hour, *(p.per_gpu_hour for p in later)]
        return [
            (Rate(level, rate.currency), held.gpus * (end - begin))
            for (begin, end), level in zip(pairwise(cuts), levels, strict=True)
        ]

    def _dated(self, held: Fact | Interval) -> tuple[SellPrice, ...]:
        """Return the prices that something held follows; none if it keeps its own."""
        terms = self._books.reservations.get((held.claim_uid, held.sequence))
        if (
            terms is None
            or terms.pricing is not Pricing.FLOATING
            or held.kind is not EntryKind.BOUND
        ):
            return ()
        offer = self._books.classes.get(terms.class_uid)
        return offer.prices if offer is not None else ()

    def held_leases(self) -> set[LeaseUID]:
        """Return the leases of which something is held, by lines that are open."""
        return {fact.lease_uid for fact in self.fold.open.values() if fact.kind in HOLDING}

    def cause(self, price_hash: str) -> str:
        """Return why GPUs were down."""
        found = self._causes.get(price_hash)
        if found is None:
            found = Evidence.read(self._books.text(price_hash)).cause.value
            self._causes[price_hash] = found
        return found

    def prune(self, now_ms: Millis) -> list[ClaimUID]:
        """Forget claims whose last line is older than the retention; return which."""
        oldest = now_ms - self._retention_ms
        gone = [u for u, c in self.sums.claims.items() if not c.lasting and c.last_ms < oldest]
        for uid in gone:
            del self.sums.claims[uid]
        if gone:
            dropped = set(gone)
            for key in [k for k in self._books.reservations if k[0] in dropped]:
                del self._books.reservations[key]
        return gone

    def _rate(self, price_hash: str) -> Rate:
        found = self._rates.get(price_hash)
        if found is None:
            price = self._books.price(price_hash)
            found = self._rates[price_hash] = Rate(price.per_gpu_hour, price.currency)
        return found

    def _open(self, fact: Fact) -> None:
        if fact.kind is EntryKind.CANCELLED:  # which nobody held, and is charged whole by its end
            return
        self._note(_beside(fact), fact.at_ms)
        claim = self.sums.claims.get(fact.claim_uid)
        if claim is None or (
            not claim.lasting and fact.at_ms > claim.last_ms + self._retention_ms
        ):  # forgotten by then, whether or not anybody looked
            terms = self._books.reservations.get((fact.claim_uid, fact.sequence))
            names = (terms.namespace, terms.name) if terms is not None else ("", "")
            claim = self.sums.claims[fact.claim_uid] = ClaimSum(*names, fact.at_ms, fact.at_ms)
        claim.lasting += 1
        claim.last_ms = Millis(max(claim.last_ms, fact.at_ms))
        if fact.kind is EntryKind.BOUND:
            self._note(("tenant", fact.tenant_uid), fact.at_ms)

    def _close(self, held: Interval, end_ms: Millis) -> None:
        sums, amount = self.sums, held.gpus * (end_ms - held.start_ms)
        if held.kind in BILLED:
            for rate, quantity in self.pieces(held, held.start_ms, end_ms):
                sums.priced[held.tenant_uid, rate] += quantity
        if held.kind is EntryKind.CANCELLED:
            return
        claim = sums.claims[held.claim_uid]
        claim.lasting -= 1
        claim.last_ms = Millis(max(claim.last_ms, end_ms))
        if held.kind is EntryKind.BOUND:
            sums.bound[held.tenant_uid, held.lease_uid] += amount
            claim.billed += amount
            return
        sums.beside[held.lease_uid, held.kind] += amount
        if held.kind is EntryKind.DOWNTIME:
            cause = self.cause(held.price_hash)
            claim.down[cause] = claim.down.get(cause, 0) + end_ms - held.start_ms

    def _adjust(self, fact: Fact) -> None:
        said = Adjustment.read(self._books.text(fact.price_hash))
        amount, key = Decimal(said.amount), (fact.tenant_uid, said.currency)
        what = self.sums.credits if amount < 0 else self.sums.corrections
        what[key] = what.get(key, Decimal(0)) + abs(amount)

    def _note(self, key: tuple[str, ...], at_ms: Millis) -> None:
        since = self.sums.since
        since[key] = min(at_ms, since.get(key, at_ms))


def _beside(fact: Fact) -> tuple[str, ...]:
    return (fact.kind.value, fact.tenant_uid, fact.lease_uid)
