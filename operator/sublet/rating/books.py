"""Everything that rating reads, folded out of the ledger's lines and texts. Pure; the same lines give the same books.

Made anew from a prefix of the ledger, or carried on line by line; lines are taken in ledger order.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.entry import GENESIS_HASH, Entry, EntryKind, Fact
from sublet.ledger.interval import BrokenLedger, Fold, Interval, interval, key_of
from sublet.ledger.terms import PriceTerms, parse_price
from sublet.ledger.texts.adjustment import Adjustment
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.offer import ClassTerms
from sublet.ledger.texts.period import PeriodText
from sublet.ledger.texts.rates import Rates
from sublet.ledger.texts.reservation import ReservationTerms
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.contract import Said, as_agreed, said_next
from sublet.rating.late import Late

RATES = "rates"
"""The subject of the table of exchange rates."""


class Lined(NamedTuple):
    """An interval and the lines that it is made of; an open one ends with its opening."""

    interval: Interval
    first_seq: int
    last_seq: int


class Level(NamedTuple):
    """GPUs of a lease that could be used from an instant on."""

    at_ms: Millis
    sequence: int
    """Of two at one instant the later one holds."""
    gpus: int
    seq: int = 0
    """The ledger's line that says so."""


@dataclass
class Books:
    """What the ledger says up to a line."""

    texts: Mapping[str, str]
    """Content hash -> text"""
    seq: int = 0
    head: str = GENESIS_HASH
    leases: dict[LeaseUID, LeaseTerms] = field(default_factory=dict)
    """Names as they are now; phases, maintenance and end as they held at each instant."""
    contracts: dict[LeaseUID, list[Said]] = field(default_factory=dict)
    """Every text of a lease, the newest last."""
    contract_lines: list[Entry] = field(default_factory=list)
    """The lines of those texts."""
    classes: dict[str, ClassTerms] = field(default_factory=dict)  # class UID -> terms
    tenants: dict[TenantUID, TenantTerms] = field(default_factory=dict)
    reservations: dict[tuple[ClaimUID, int], ReservationTerms] = field(default_factory=dict)
    """(claim UID, allocation sequence) -> what was agreed"""
    capacity: dict[LeaseUID, list[Level]] = field(default_factory=lambda: defaultdict(list))
    adjustments: list[tuple[Entry, Adjustment]] = field(default_factory=list)
    periods: dict[TenantUID, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    """Closed ones, in the order in which they were closed."""
    rates: Rates | None = None
    said: dict[str, str] = field(default_factory=dict)
    """Tenant's UID, or `rates` -> hash of the text above as its line names it, whatever of the text this version knows."""
    late: Late = field(default_factory=Late)
    closed: list[Lined] = field(default_factory=list)
    _fold: Fold = field(default_factory=Fold)
    _opened: dict[str, int] = field(default_factory=dict)  # id of an opening -> its line

    @classmethod
    def of(cls, entries: Iterable[Entry], texts: Mapping[str, str]) -> "Books":
        """Fold lines in ledger order; BrokenLedger if they can't be, ValueError on a text of a newer version."""
        books = cls(texts)
        for entry in entries:
            books.take(entry)
        return books

    def take(self, entry: Entry) -> None:
        """Add the next line."""
        fact = entry.fact
        self.seq, self.head = entry.seq, entry.hash
        key = key_of(fact)
        start = self._fold.open.get(key)
        ended = self._fold.take(fact)
        self.late.said(entry.seq, fact)
        if ended is not None and start is not None:
            self.closed.append(Lined(ended, self._opened.pop(start.id), entry.seq))
        elif key in self._fold.open:
            self._opened[fact.id] = entry.seq
        elif fact.kind is EntryKind.TERMS:
            self._learn(fact)
            if fact.lease_uid:
                self.contract_lines.append(entry)
        elif fact.kind is EntryKind.CAPACITY:
            insort(
                self.capacity[fact.lease_uid],
                Level(fact.at_ms, fact.sequence, fact.gpus, entry.seq),
            )
        elif fact.kind is EntryKind.ADJUSTMENT:
            said = Adjustment.read(self.text(fact.price_hash))
            self.adjustments.append((entry, said))
            self.late.adjusted(fact, said.period)
        elif fact.kind is EntryKind.PERIOD:
            self.periods[fact.tenant_uid].append(entry)
            self.late.closed(fact)

    def intervals(self, *kinds: EntryKind) -> list[Lined]:
        """Return the intervals of some kinds, those that last at the end (`end_ms` None), by their lines."""
        lasting = [
            Lined(interval(fact, None), self._opened[fact.id], self._opened[fact.id])
            for fact in self._fold.open.values()
        ]
        found = [x for x in (*self.closed, *lasting) if x.interval.kind in kinds]
        return sorted(found, key=lambda x: (x.first_seq, x.last_seq))

    def price(self, price_hash: str) -> PriceTerms:
        """Return the price that a hash names; BrokenLedger if its text isn't there."""
        return parse_price(self.text(price_hash))

    def text(self, content_hash: str) -> str:
        """Return the text that a hash names; BrokenLedger if it isn't there."""
        try:
            return self.texts[content_hash]
        except KeyError:
            raise BrokenLedger(f"the ledger has no text {content_hash}") from None

    def period(self, tenant_uid: TenantUID, month: str) -> PeriodText | None:
        """Return a tenant's period as it was closed, None if it isn't; BrokenLedger if its text isn't there."""
        number = int(month.replace("-", ""))
        for entry in self.periods.get(tenant_uid, ()):
            if entry.fact.sequence == number:
                return PeriodText.read(self.text(entry.fact.price_hash))
        return None

    def rates_then(self, tenant_uid: TenantUID, month: str) -> Rates | None:
        """Return the table of rates that held when a tenant's month was closed; None if there was none, or it isn't."""
        closed = self.period(tenant_uid, month)
        return Rates.read(self.text(closed.rates)) if closed is not None and closed.rates else None

    def _learn(self, fact: Fact) -> None:
        text, subject = self.text(fact.price_hash), str(fact.claim_uid)
        if subject in (RATES, fact.tenant_uid):
            self.said[subject] = fact.price_hash
        if subject == RATES:
            self.rates = Rates.read(text)
        elif subject == str(fact.lease_uid):
            known = self.contracts.get(fact.lease_uid, [])
            said = self.contracts[fact.lease_uid] = said_next(
                known, fact.at_ms, LeaseTerms.read(text)
            )
            self.leases[fact.lease_uid] = as_agreed(said)
        elif subject == str(fact.tenant_uid):
            before = self.tenants.get(fact.tenant_uid)
            now = self.tenants[fact.tenant_uid] = TenantTerms.read(text)
            self.late.dated(
                self.seq, before.discounts if before else (), now.discounts, fact.tenant_uid
            )
        elif fact.tenant_uid:
            self.reservations[fact.claim_uid, fact.sequence] = ReservationTerms.read(text)
        else:
            offered = self.classes.get(subject)
            offer = self.classes[subject] = ClassTerms.read(text)
            self.late.dated(self.seq, offered.prices if offered else (), offer.prices)
