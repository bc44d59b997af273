"""A month of 5,000 claims of twenty tenants closed: rated, rounded, written as texts that are read for ever.

Each claim comes and goes three times, some were down, half float along a price that changed daily; tenants are billed in a currency
of their own. The ledger is folded into books first, which is measured apart.
"""

import time

from sublet.ledger.entry import EntryKind
from sublet.rating.books import Books
from sublet.rating.periods import closing
from sublet.rating.tenancy import tenancies_of
from tests.bench.results import Row, most
from tests.builders.billing import Journal
from tests.builders.wholesale import at

CLAIMS, TENANTS, TERMS = 5_000, 20, 3
LIMIT_SECONDS = 30.0
BEGIN, END = at("2026-09-01T00:00:00Z"), at("2026-10-01T00:00:00Z")
_HOUR = 3_600_000
_ROUNDING = {"roundUpToSeconds": 3600, "minimumSeconds": 1800}


def measure() -> list[Row]:
    """Return the rows."""
    journal = _month()
    began = time.perf_counter()
    books = Books.of(journal.entries, journal.texts)
    folded = time.perf_counter() - began
    began = time.perf_counter()
    closed = [
        closing(books, tenancy, "2026-09", END)
        for uid, tenancy in tenancies_of(books).items()
        if uid
    ]
    seconds = time.perf_counter() - began
    size = sum(len(text) for _, text in closed) / 1e6
    assert len(closed) == TENANTS
    what = f"{CLAIMS:,} claims, {TENANTS} tenants, {len(journal.entries):,} lines"
    return [
        Row("ledger folded into books", folded, "s", None, what),
        Row(
            "month closed",
            seconds,
            "s",
            most(LIMIT_SECONDS),
            f"{what}; texts of {size:.1f} MB; limit: the budget",
        ),
    ]


def _month() -> Journal:
    journal = Journal()
    journal.lease("west")
    journal.rates("EUR", {"currency": "USD", "effectiveTime": BEGIN - _HOUR, "rate": "0.9"})
    journal.offer(
        "h100", *((f"{2 + day / 100:.2f}", BEGIN + day * 24 * _HOUR) for day in range(30))
    )
    for number in range(TENANTS):
        journal.tenant(f"tenant-{number}", billing={"currency": "EUR", "timeZone": "Europe/Madrid"})
    for number in range(CLAIMS):
        tenant, name = f"tenant-{number % TENANTS}", f"claim-{number}"
        for sequence in range(1, TERMS + 1):
            _term(journal, name, tenant, sequence, number)
    return journal


def _term(journal: Journal, name: str, tenant: str, sequence: int, number: int) -> None:
    begin = BEGIN + (sequence - 1) * 200 * _HOUR + number * 1_013
    end = begin + 150 * _HOUR + number
    how = {"sequence": sequence, "tenant": tenant, "price": "2.00"}
    journal.reserved(
        name, tenant=tenant, sequence=sequence, floats=number % 2 == 0,
        namespace=f"{tenant}-{number % 3}", rounding=_ROUNDING, sla={"graceSeconds": 60},
    )  # fmt: skip
    journal.held(name, begin, end, gpus=8, tags={"team": f"t{number % 5}"}, **how)
    if number % 10 == 0:
        journal.held(name, begin + _HOUR, begin + 2 * _HOUR, gpus=1, kind=EntryKind.DOWNTIME, **how)
