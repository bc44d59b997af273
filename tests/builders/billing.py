"""Ledgers of tenants for tests: lines in the order in which they are written, so that evidence can come late."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sublet.api.billing import ClassSla, Rounding
from sublet.api.downtime import DowntimeCause
from sublet.api.gpuclass import Pricing
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.entry import GENESIS_HASH, Entry, EntryKind, EntryType, Fact
from sublet.ledger.terms import PriceTerms, content_hash, tags_text
from sublet.ledger.texts.adjustment import Adjustment
from sublet.ledger.texts.base import Text
from sublet.ledger.texts.evidence import Evidence
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.offer import ClassTerms
from sublet.ledger.texts.rates import Rates
from sublet.ledger.texts.reservation import ReservationTerms
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import RATES, Books
from sublet.rating.periods import closing
from sublet.rating.tenancy import Tenancy, tenancy_of
from tests.builders.api import as_lease, lease
from tests.builders.wholesale import When, at

ACME = TenantUID("acme")
WHY = Evidence(cause=DowntimeCause.NODE_NOT_READY)
"""What stands where a line of downtime would have a price."""


class Journal:
    """Writes a ledger line by line; the UIDs of tenants, classes, leases and claims are their names."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.texts: dict[str, str] = {WHY.hash: WHY.text}
        self._held: dict[tuple[str, int, str, EntryKind], Fact] = {}

    def tenant(self, name: str = "acme", *, uid: str = "", **fields: Any) -> None:
        """Write what a tenant says of money."""
        given: dict[str, Any] = {
            "name": name,
            "namespaces": [name],
            "billingAccountId": f"A-{name}",
            **fields,
        }
        self._said(
            TenantTerms.model_validate({"kind": "tenant"} | given), uid or name, tenant=uid or name
        )

    def lease(self, name: str = "west", *, when: When = 0, **spec: Any) -> None:
        """Write what a lease's spec says since then; `spec` as for `tests.builders.api.lease`."""
        self._said(LeaseTerms.of(as_lease(lease(name, **spec))), name, lease_uid=name, when=when)

    def capacity(self, when: When, gpus: int, lease_uid: str = "west") -> None:
        """Write how many GPUs of a lease could be used from an instant on."""
        said = sum(e.fact.kind is EntryKind.CAPACITY for e in self.entries)
        self.append(
            Fact(
                claim_uid=ClaimUID(lease_uid),
                sequence=1 + said,
                tenant_uid=TenantUID(""),
                lease_uid=LeaseUID(lease_uid),
                kind=EntryKind.CAPACITY,
                type=EntryType.SET,
                gpus=gpus,
                at_ms=at(when),
                price_hash="",
                tags_hash="",
                source_version="1",
            )
        )

    def offer(self, name: str, *prices: tuple[str, When], currency: str = "USD") -> None:
        """Write the dated prices of a class."""
        dated = [{"perGpuHour": p, "effectiveTime": at(when)} for p, when in prices]
        given = {
            "kind": "class",
            "name": name,
            "products": [],
            "currency": currency,
            "prices": dated,
        }
        self._said(ClassTerms.model_validate(given), name)

    def rates(self, reporting: str, *rates: Mapping[str, Any]) -> None:
        """Write the table of exchange rates."""
        table = {"kind": "rates", "reportingCurrency": reporting, "rates": rates}
        self._said(Rates.model_validate(table), RATES)

    def reserved(
        self,
        claim: str,
        *,
        class_name: str = "h100",
        sequence: int = 1,
        tenant: str = "acme",
        namespace: str = "",
        floats: bool = False,
        rounding: Mapping[str, Any] | None = None,
        sla: Mapping[str, Any] | None = None,
    ) -> None:
        """Write what a claim agreed to."""
        terms = ReservationTerms(
            namespace=namespace or tenant,
            name=claim,
            class_name=class_name,
            class_uid=class_name,
            pricing=Pricing.FLOATING if floats else Pricing.FIXED,
            rounding=Rounding.model_validate(rounding) if rounding is not None else None,
            sla=ClassSla.model_validate(sla) if sla is not None else None,
        )
        self._said(terms, claim, tenant=tenant, sequence=sequence)

    def begins(
        self,
        claim: str,
        when: When,
        gpus: int = 8,
        lease_uid: str = "west",
        *,
        kind: EntryKind = EntryKind.BOUND,
        sequence: int = 1,
        tenant: str = "acme",
        price: str = "2.00",
        currency: str = "USD",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write that an interval begins."""
        terms, tagged = PriceTerms(Decimal(price), currency), tags_text(tags or {})
        self.texts |= {terms.hash: terms.text, content_hash(tagged): tagged}
        fact = Fact(
            claim_uid=ClaimUID(claim),
            sequence=sequence,
            tenant_uid=TenantUID(tenant),
            lease_uid=LeaseUID(lease_uid),
            kind=kind,
            type=EntryType.OPEN,
            gpus=gpus,
            at_ms=at(when),
            price_hash=(WHY if kind is EntryKind.DOWNTIME else terms).hash,
            tags_hash=content_hash(tagged),
            source_version="1",
        )
        self._held[claim, sequence, lease_uid, kind] = fact
        self.append(fact)

    def ends(
        self,
        claim: str,
        when: When,
        lease_uid: str = "west",
        *,
        kind: EntryKind = EntryKind.BOUND,
        sequence: int = 1,
    ) -> None:
        """Write that an interval ended."""
        opened = self._held[claim, sequence, lease_uid, kind]
        fields = {name: getattr(opened, name) for name in Fact.__dataclass_fields__}
        self.append(Fact(**fields | {"type": EntryType.CLOSE, "at_ms": at(when)}))

    def held(self, claim: str, begin: When, end: When | None, **how: Any) -> None:
        """Write a whole interval, as `begins` has it."""
        self.begins(claim, begin, **how)
        if end is not None:
            same = {k: v for k, v in how.items() if k in ("lease_uid", "kind", "sequence")}
            self.ends(claim, end, **same)

    def adjusted(
        self,
        when: When,
        month: str,
        amount: str,
        *,
        tenant: str = "acme",
        currency: str = "USD",
        namespace: str = "",
        number: int = 1,
    ) -> None:
        """Write an amount that a person charged or credited."""
        said = Adjustment(
            period=month, amount=amount, currency=currency, reason="as agreed", by="ann",
            namespace=namespace,
        )  # fmt: skip
        self._said(said, tenant, EntryKind.ADJUSTMENT, tenant=tenant, sequence=number, when=when)

    def closed(self, month: str, when: When, tenant: str = "acme") -> None:
        """Close a tenant's month as the operator does."""
        books = self.books()
        fact, text = closing(books, tenancy_of(books, TenantUID(tenant)), month, at(when))
        self.texts[content_hash(text)] = text
        self.append(fact)

    def append(self, fact: Fact) -> None:
        """Write any line."""
        head = self.entries[-1].hash if self.entries else GENESIS_HASH
        self.entries.append(Entry(len(self.entries) + 1, fact, head))

    def books(self, seq: int | None = None) -> Books:
        """Return the books of all that was written, or of the first so many lines."""
        return Books.of(self.entries[:seq], self.texts)

    def tenancy(self, tenant: str = "acme") -> Tenancy:
        """Return one tenant over all its time."""
        return tenancy_of(self.books(), TenantUID(tenant))

    def _said(
        self,
        text: Text,
        subject: str,
        kind: EntryKind = EntryKind.TERMS,
        *,
        tenant: str = "",
        lease_uid: str = "",
        sequence: int = 0,
        when: When = 0,
    ) -> None:
        said = [e.fact for e in self.entries if e.fact.claim_uid == subject] if not sequence else []
        self.texts[text.hash] = text.text
        self.append(
            Fact(
                claim_uid=ClaimUID(subject),
                sequence=sequence or 1 + sum(f.kind is kind for f in said),
                tenant_uid=TenantUID(tenant),
                lease_uid=LeaseUID(lease_uid),
                kind=kind,
                type=EntryType.SET,
                gpus=0,
                at_ms=Millis(at(when)),
                price_hash=text.hash,
                tags_hash="",
                source_version="1",
            )
        )
