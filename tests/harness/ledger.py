"""Reading a ledger from outside the operator."""

import asyncio
import time
from typing import Final

from sublet.ledger.entry import MARKS, Fact
from sublet.store.sql import SqlLedger

_STILL_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 60.0


def count_lines(database: str) -> int:
    """Return how many lines a ledger that is still has, which must prove itself first."""

    async def read() -> int:
        ledger = SqlLedger(database)
        try:
            return await _settled(ledger)
        finally:
            await ledger.close()

    return asyncio.run(read())


async def _settled(ledger: SqlLedger) -> int:
    """Wait until a ledger is still, and return how many lines it has: a line comes a moment after what it is about."""
    deadline, before = time.monotonic() + _LONGEST_SECONDS, -1
    while True:
        proof = await ledger.verify()
        assert proof.fault is None, proof.fault
        if proof.entries == before or time.monotonic() > deadline:
            return proof.entries
        before = proof.entries
        await asyncio.sleep(_STILL_SECONDS)


def facts_in(database: str) -> list[Fact]:
    """Return what began and ended by a ledger that is still, which must prove itself first; its marks are left out."""

    async def read() -> list[Fact]:
        ledger = SqlLedger(database)
        try:
            await _settled(ledger)
            return [f for f in await ledger.facts() if f.kind not in MARKS]
        finally:
            await ledger.close()

    return asyncio.run(read())
