"""Ledgers of leases for tests: what was agreed, what was there, who had what, folded into books in the order of time."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis, parse_instant
from sublet.ledger.entry import GENESIS_HASH, Entry, EntryKind, EntryType, Fact
from sublet.ledger.terms import PriceTerms, tags_text
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.rates import Rates
from sublet.ledger.texts.reservation import ReservationTerms
from sublet.rating.books import RATES, Books
from sublet.rating.calendar import Span
from sublet.rating.model import Category, Charge
from tests.builders.api import as_lease, lease

When = str | int
PRICE = PriceTerms(Decimal("3.99"), "USD")
TAGS = tags_text({})


def at(when: When) -> Millis:
    """Return an instant that is given as RFC 3339 or in milliseconds."""
    return parse_instant(when) if isinstance(when, str) else Millis(when)


def span(begin: When, end: When) -> Span:
    """Return the stretch between two instants."""
    return Span(at(begin), at(end))


class Scribe:
    """Writes a ledger: facts in any order, which become lines in the order of their instants."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.texts: dict[str, str] = {PRICE.hash: PRICE.text}

    def lease(self, name: str = "west", **spec: Any) -> LeaseUID:
        """Write the terms of a lease, whose UID is its name; `spec` as for `tests.builders.api.lease`."""
        terms = LeaseTerms.of(as_lease(lease(name, **spec)))
        self._text(terms, name, LeaseUID(name))
        return LeaseUID(name)

    def capacity(self, lease_uid: str, when: When, gpus: int, sequence: int = 1) -> None:
        """Write how many GPUs could be used from an instant on."""
        self._add(
            EntryKind.CAPACITY, EntryType.SET, when, lease_uid, lease_uid, gpus=gpus, sequence=sequence
        )  # fmt: skip

    def held(
        self,
        claim: str,
        lease_uid: str,
        gpus: int,
        begin: When,
        end: When | None = None,
        *,
        kind: EntryKind = EntryKind.BOUND,
        sequence: int = 1,
        tenant: str = "acme",
    ) -> None:
        """Write an interval of a claim, whose UID is its name."""
        for type_, when in ((EntryType.OPEN, begin), (EntryType.CLOSE, end)):
            if when is not None:
                self._add(
                    kind, type_, when, claim, lease_uid, tenant=tenant, gpus=gpus, sequence=sequence
                )  # fmt: skip

    def reserved(
        self, claim: str, class_name: str, *, sequence: int = 1, tenant: str = "acme"
    ) -> None:
        """Write what a claim agreed to."""
        terms = ReservationTerms(namespace=tenant, name=claim, class_name=class_name)
        self._text(terms, claim, LeaseUID(""), tenant, sequence)

    def rates(self, reporting: str, *rates: Mapping[str, Any]) -> None:
        """Write the table of exchange rates."""
        table = {"kind": "rates", "reportingCurrency": reporting, "rates": rates}
        self._text(Rates.model_validate(table), RATES, LeaseUID(""))

    def books(self) -> Books:
        """Return the books of all that was written."""
        return Books.of(self.entries(), self.texts)

    def entries(self) -> list[Entry]:
        """Return the chain."""
        found: list[Entry] = []
        for seq, fact in enumerate(sorted(self.facts, key=lambda f: f.at_ms), 1):
            found.append(Entry(seq, fact, found[-1].hash if found else GENESIS_HASH))
        return found

    def _text(
        self, text: Any, subject: str, lease_uid: LeaseUID, tenant: str = "", sequence: int = 1
    ) -> None:
        self.texts[text.hash] = text.text
        self._add(
            EntryKind.TERMS, EntryType.SET, 0, subject, lease_uid,
            tenant=tenant, sequence=sequence, price_hash=text.hash,
        )  # fmt: skip

    def _add(
        self,
        kind: EntryKind,
        type_: EntryType,
        when: When,
        subject: str,
        lease_uid: str,
        *,
        gpus: int = 0,
        sequence: int = 1,
        tenant: str = "",
        price_hash: str = PRICE.hash,
    ) -> None:
        self.facts.append(
            Fact(
                claim_uid=ClaimUID(subject),
                sequence=sequence,
                tenant_uid=TenantUID(tenant),
                lease_uid=LeaseUID(lease_uid),
                kind=kind,
                type=type_,
                gpus=gpus,
                at_ms=at(when),
                price_hash=price_hash,
                tags_hash="",
                source_version="1",
            )
        )


def charge(
    claim: str,
    lease_uid: str,
    begin: When,
    end: When,
    amount: str,
    *,
    gpus: int = 0,
    category: Category = Category.USE,
    currency: str = "USD",
    tenant: str = "acme",
    class_name: str = "h100",
) -> Charge:
    """Return what a tenant is charged, or credited below 0, for GPUs over a time."""
    total = Fraction(amount)
    return Charge(
        tenant_uid=TenantUID(tenant),
        namespace=tenant,
        claim_uid=ClaimUID(claim),
        claim_name=claim,
        sequence=1,
        class_name=class_name,
        lease_uid=LeaseUID(lease_uid),
        lease_alias=lease_uid,
        product="NVIDIA-H100-80GB-HBM3",
        tags_hash="",
        category=category,
        from_ms=at(begin),
        to_ms=at(end),
        gpu_milliseconds=gpus * (at(end) - at(begin)),
        list_price=None,
        price=None,
        currency=currency,
        list_amount=total,
        amount=total,
        first_seq=1,
        last_seq=1,
    )
