"""Charges, cells and books made by hand: one tenant, two leases of two landlords, a month in UTC."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import MS_PER_HOUR, Millis, parse_instant
from sublet.export.focus.account import Account, Period, Seller
from sublet.ledger.terms import content_hash, tags_text
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.rates import Rates
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.model import Category, Cell, Charge, LeaseState

ACME = TenantUID("tenant-uid-acme")
WEST, EAST = LeaseUID("lease-uid-west"), LeaseUID("lease-uid-east")
START = parse_instant("2026-09-01T00:00:00Z")
END = parse_instant("2026-10-01T00:00:00Z")
TAGS = tags_text({"project": "vision", "team": "blue"})
LANDLORD_WORDS = (
    "Coreweft",
    "Nebulosa",
    "DataHall",
    "CW-77",
    "us-secret-04a",
    "z-secret",
    "west-2026",
    "ph1",
)
"""What no tenant may read: landlords, hosts, contracts, places, names of leases and phases."""


def hour(index: int) -> Millis:
    """Return the beginning of an hour of the month."""
    return Millis(START + index * MS_PER_HOUR)


def period(*, closed: bool = False, as_of_ms: Millis = END) -> Period:
    """Return September 2026 in UTC."""
    return Period("2026-09", Span(START, END), closed, as_of_ms)


def account(*, shows_host: bool = False, seller: Seller | None = None, **billing: Any) -> Account:
    """Return acme's account."""
    terms = TenantTerms.model_validate(
        {
            "name": "acme",
            "namespaces": ["team-a", "team-b"],
            "billingAccountId": "A-1",
            "billing": billing,
        }
    )
    return Account(ACME, terms, seller or Seller("Sublet GmbH"), period(), shows_host)


def lease_terms(mode: str = "TakeOrPay", **fields: Any) -> LeaseTerms:
    """Return a lease of Coreweft on DataHall's hardware, with two phases."""
    made = {
        "name": "west-2026",
        "alias": "pool-w",
        "provider": "Coreweft",
        "hostProvider": "DataHall",
        "contract": {"id": "CW-77", "name": "Frame contract"},
        "product": "NVIDIA-H100-80GB-HBM3",
        "currency": "USD",
        "location": {
            "jurisdiction": "EU",
            "country": "ES",
            "region": "us-secret-04a",
            "zone": "z-secret",
        },
        "term": {"startTime": "2026-08-01T00:00:00Z", "endTime": "2027-08-01T00:00:00Z"},
        "commitment": {
            "mode": mode,
            "phases": [
                {"commitmentId": "ph1", "startTime": "2026-08-01T00:00:00Z", "gpus": 64},
                {"commitmentId": "ph2", "startTime": "2026-09-16T00:00:00Z", "gpus": 128},
            ],
        },
        "prices": [{"effectiveTime": "2026-08-01T00:00:00Z", "perGpuHour": "2.1"}],
    }
    return LeaseTerms.model_validate(made | fields)


def books(rates: Rates | None = None) -> Books:
    """Return books of two leases and one set of tags."""
    east = {"name": "east-2026", "alias": "pool-e", "provider": "Nebulosa", "hostProvider": None}
    found = Books({content_hash(TAGS): TAGS}, seq=4711, head="ab" * 32, rates=rates)
    found.leases = {WEST: lease_terms(), EAST: lease_terms(**east)}
    return found


def charge(at: int = 0, *, gpus: int = 8, of: str = "train", **fields: Any) -> Charge:
    """Return an hour of a claim: list price 3, 2.80 after discount; other fields as given."""
    milliseconds = fields.pop("gpu_milliseconds", gpus * MS_PER_HOUR)
    price, listed = fields.pop("price", Fraction(14, 5)), fields.pop("list_price", Decimal(3))
    made = Charge(
        tenant_uid=ACME,
        namespace="team-a",
        claim_uid=ClaimUID(f"claim-uid-{of}"),
        claim_name=of,
        sequence=1,
        class_name="h100",
        lease_uid=WEST,
        lease_alias="pool-w",
        product="NVIDIA-H100-80GB-HBM3",
        tags_hash=content_hash(TAGS),
        category=Category.USE,
        from_ms=hour(at),
        to_ms=hour(at + 1),
        gpu_milliseconds=milliseconds,
        list_price=listed,
        price=price,
        currency="USD",
        list_amount=Fraction(listed or 0) * milliseconds / MS_PER_HOUR,
        amount=Fraction(price or 0) * milliseconds / MS_PER_HOUR,
        first_seq=10,
        last_seq=11,
    )
    return replace(made, **fields)


def money(category: Category, amount: str, at: int = 0, **fields: Any) -> Charge:
    """Return a charge of money alone."""
    exact = Fraction(amount)
    made = {"category": category, "gpu_milliseconds": 0, "list_price": None, "price": None}
    return charge(at, **(made | {"amount": exact, "list_amount": exact} | fields))


def everything() -> list[Charge]:
    """Return a charge of every category, a move between leases within an hour, an uneven price, and a correction."""
    third = Fraction(28, 3)
    return [
        *(charge(at) for at in range(3)),
        charge(3, gpu_milliseconds=1_234_567, to_ms=Millis(hour(3) + 154_320)),
        charge(
            3,
            gpu_milliseconds=8 * 700_001,
            lease_uid=EAST,
            lease_alias="pool-e",
            from_ms=Millis(hour(3) + 154_320),
        ),
        charge(0, of="infer", namespace="team-b", price=third, list_price=Decimal(10)),
        charge(1, of="infer", namespace="team-b", price=third, list_price=Decimal(10)),
        charge(4, gpus=1, category=Category.ROUNDING),
        charge(4, gpus=2, category=Category.MINIMUM),
        charge(
            9,
            gpus=4,
            of="later",
            category=Category.CANCELLED,
            price=Fraction(7, 5),
            list_price=Decimal("1.5"),
        ),
        money(Category.MINIMUM, "1.25", 5),
        money(Category.CREDIT, "-11.2", 2),
        money(
            Category.ADJUSTMENT,
            "-5",
            6,
            claim_uid=ClaimUID(""),
            claim_name="",
            lease_uid=LeaseUID(""),
            lease_alias="",
            product="",
            class_name="",
            tags_hash="",
            to_ms=hour(6),
        ),
        charge(0, corrects="2026-08", from_ms=Millis(START - MS_PER_HOUR), to_ms=START),
    ]


def cells(
    at: int = 0,
    *,
    used: int = 40,
    down: int = 0,
    beyond: int = 0,
    committed: int = 64,
    lease: LeaseUID = WEST,
    price: str = "2.1",
    holding: str | None = None,
    phase: str = "ph1",
) -> Iterator[Cell]:
    """Yield the cells of a lease in one hour."""
    idle = Decimal(holding or price)
    for state, gpus, each in (
        (LeaseState.USED, used, Decimal(price)),
        (LeaseState.UNUSED, committed - used - down, idle),
        (LeaseState.UNAVAILABLE, down, idle),
        (LeaseState.BEYOND, beyond, Decimal(price)),
    ):
        if gpus:
            yield Cell(
                lease,
                phase,
                state,
                hour(at),
                hour(at + 1),
                gpus * MS_PER_HOUR,
                each,
                "USD",
                Fraction(each) * gpus,
            )
