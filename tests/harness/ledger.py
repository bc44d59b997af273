"""Reading a ledger from outside the operator."""

import asyncio

from sublet.ledger.entry import Fact
from sublet.store.sql import SqlLedger


def facts_in(database: str) -> list[Fact]:
    """Return all facts of a ledger, which must prove itself first."""

    async def read() -> list[Fact]:
        ledger = SqlLedger(database)
        try:
            proof = await ledger.verify()
            assert proof.fault is None, proof.fault
            return await ledger.facts()
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
