"""Writing an adjustment: of those of one tenant with the same key there is one, whoever writes at the same time."""

from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection, select

from sublet.ledger.entry import EntryKind, Fact
from sublet.ledger.port import LedgerConflict
from sublet.ledger.texts.adjustment import Adjustment
from sublet.store.appending import Order, append_all, head_of
from sublet.store.sql import SqlLedger
from sublet.store.tables import entries, terms


class OtherAdjustment(ValueError):
    """The key was used for something else; nothing was written."""


class Adjusted(NamedTuple):
    """Where an adjustment stands."""

    seq: int
    is_new: bool


async def write_adjustment(ledger: SqlLedger, fact: Fact, said: Adjustment) -> Adjusted:
    """Append an adjustment and its record in the audit trail, or find it there; OtherAdjustment, LedgerUnavailable.

    The fact's sequence is given here: the number of the tenant's adjustment.
    """

    def work(connection: Connection) -> Adjusted:
        while True:
            known = _known(connection, fact)
            if (seq := _line_of(known, said)) is not None:
                return Adjusted(seq, is_new=False)
            numbered = replace(fact, sequence=len(known) + 1, price_hash=said.hash)
            try:
                (count,) = append_all(connection, [Order([numbered], {said.hash: said.text}, [])])
            except LedgerConflict:
                # somebody else took the number since `known` was read, which no lock forbids; else it is a conflict indeed
                if len(_known(connection, fact)) == len(known):
                    raise
                continue
            if count:
                return Adjusted(head_of(connection)[0], is_new=True)

    return await ledger.call(work)


def _line_of(known: list[tuple[int, Adjustment]], said: Adjustment) -> int | None:
    """Return the line that has the adjustment's key, None if none has; OtherAdjustment if it says something else."""
    for seq, each in known:
        if each.key == said.key:
            if _what(each) != _what(said):
                raise OtherAdjustment(
                    f"line {seq} of the ledger has that key and says {each.amount} {each.currency} for"
                    f" {each.period} ({each.reason}); give another --key"
                )
            return seq
    return None


def _known(connection: Connection, fact: Fact) -> list[tuple[int, Adjustment]]:
    query = (
        select(entries.c.seq, terms.c.text)
        .join(terms, terms.c.hash == entries.c.price_hash)
        .where(entries.c.claim_uid == fact.claim_uid, entries.c.kind == EntryKind.ADJUSTMENT)
        .order_by(entries.c.seq)
    )
    return [(row.seq, Adjustment.read(row.text)) for row in connection.execute(query)]


def _what(said: Adjustment) -> tuple[object, ...]:
    return (said.period, said.amount, said.currency, said.reason, said.namespace, said.claim)
