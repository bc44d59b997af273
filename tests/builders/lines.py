"""Lines of a ledger for tests of its store: facts with texts that are theirs."""

from decimal import Decimal

from sqlalchemy import text

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.audit import OPERATOR, AuditRecord
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.terms import PriceTerms, content_hash
from sublet.store.database import open_engine

PRICE = PriceTerms(Decimal("2.35"), "USD")
TEXTS = {PRICE.hash: PRICE.text, content_hash("{}"): "{}"}
"""hash -> text, of all facts made here"""


def fact(claim: str, at_ms: int = 5, *, gpus: int = 8, type_: EntryType = EntryType.OPEN) -> Fact:
    """Return what happened to a claim."""
    return Fact(
        ClaimUID(claim),
        1,
        TenantUID("t"),
        LeaseUID("west"),
        EntryKind.BOUND,
        type_,
        gpus,
        Millis(at_ms),
        PRICE.hash,
        content_hash("{}"),
        "1",
    )


def mark(lease: str, at_ms: int, gpus: int) -> Fact:
    """Return how many GPUs of a lease could be used from an instant on."""
    return Fact(
        ClaimUID(lease),
        at_ms,
        TenantUID(""),
        LeaseUID(lease),
        EntryKind.CAPACITY,
        EntryType.SET,
        gpus,
        Millis(at_ms),
        "",
        "",
        "1",
    )


def record(key: str, at_ms: int = 5, *, what: str = "bind") -> AuditRecord:
    """Return a decision about a claim."""
    return AuditRecord(
        what, OPERATOR, "GpuClaim", "uid", "acme/train", "west-uid", "west", key, "", "8", "", at_ms
    )


def execute(url: str, *statements: str) -> None:
    """Do to a database what nobody should."""
    engine = open_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
