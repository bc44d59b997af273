"""The ledger as `sublet verify` reads it: from its database, opened for reading, or from the operator's admin endpoint."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from sublet.cli.admin import fetch
from sublet.cli.problems import Problem
from sublet.ledger.chain import Proof, verify
from sublet.ledger.entry import Entry
from sublet.ledger.line import read_line
from sublet.store.sql import SqlLedger
from sublet.verify.reader import LedgerSource

_ENTRIES: Final = "/admin/v1/ledger/entries"


class AdminLedger:
    """The ledger, page by page, as the operator shows it."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        self._entries: list[Entry] = []
        self._ids: list[str] = []
        self._terms: dict[str, str] = {}

    async def read_entries(self, after_seq: int = 0) -> list[Entry]:
        """Return the entries after a line, in order; Problem if the endpoint doesn't answer as it should."""
        while True:
            last = self._entries[-1].seq if self._entries else 0
            page: dict[str, Any] = await fetch(self._base, _ENTRIES, {"after": str(last)})
            items = page.get("items")
            if not isinstance(items, list):
                raise Problem(
                    f"{self._base} doesn't show the ledger's lines; is it of this version?"
                )
            if not items:
                return [e for e in self._entries if e.seq > after_seq]
            try:
                lines = [read_line(item) for item in items]
            except (KeyError, TypeError, ValueError) as error:
                raise Problem(f"{self._base} shows a line that is none ({error})") from error
            self._entries += [entry for entry, _ in lines]
            self._ids += [id_ for _, id_ in lines]
            self._terms |= page.get("terms") or {}

    async def verify(self) -> Proof:
        """Prove what was read."""
        return verify(self._entries, self._ids)

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the texts behind hashes that came with the lines: hash -> text."""
        return {h: self._terms[h] for h in hashes if h in self._terms}


@asynccontextmanager
async def open_ledger(
    database: str | None, admin: str | None
) -> AsyncIterator[LedgerSource | None]:
    """Yield the ledger, None if neither a database nor an endpoint is given."""
    if admin is not None:
        yield AdminLedger(admin)
    elif database is None:
        yield None
    else:
        ledger = SqlLedger(database, read_only=True)
        try:
            yield ledger
        finally:
            await ledger.close()
