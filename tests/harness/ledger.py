"""Reading a ledger from outside the operator."""

import asyncio

from sublet.ledger.entry import MARKS, Fact
from sublet.store.sql import SqlLedger


def count_lines(database: str) -> int:
    """Return how many lines a ledger has, which must prove itself first."""

    async def read() -> int:
        ledger = SqlLedger(database)
        try:
            proof = await ledger.verify()
            assert proof.fault is None, proof.fault
            return proof.entries
        finally:
            await ledger.close()

    return asyncio.run(read())


def facts_in(database: str) -> list[Fact]:
    """Return what began and ended by a ledger, which must prove itself first; its marks are left out."""

    async def read() -> list[Fact]:
        ledger = SqlLedger(database)
        try:
            proof = await ledger.verify()
            assert proof.fault is None, proof.fault
            return [f for f in await ledger.facts() if f.kind not in MARKS]
        finally:
            await ledger.close()

    return asyncio.run(read())


def add_fact(database: str, fact: Fact) -> None:
    """Append one fact to a ledger that nobody else has open."""

    async def write() -> None:
        ledger = SqlLedger(database)
        try:
            await ledger.append([fact], {})
        finally:
            await ledger.close()

    asyncio.run(write())
