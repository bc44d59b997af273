"""A fault at each write of statements, in the hub or in the ledger, and a restart after it: one end state, each period closed once."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sublet.kube.errors import Conflict, KubeError, ServerError, TooManyRequests, Unreachable
from sublet.ledger.audit import AuditRecord
from sublet.ledger.entry import EntryKind, Fact
from sublet.ledger.past import Past
from sublet.ledger.port import LedgerUnavailable
from sublet.store.sql import SqlLedger
from tests.builders.statements import OCTOBER, Hub, Keeping, sold

WRITES = 7
"""Of the story below, without a fault: three statements made, each with a status, and one of them changed as it closes."""


class Killed(Exception):
    """The operator ends here."""


class FaultyHub(Hub):
    """A hub at whose n-th write something goes wrong, once."""

    def __init__(self, nth: int = 0, action: str = "") -> None:
        super().__init__("acme")
        self._nth, self._action = nth, action
        self.tried = 0

    def _store(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.tried += 1
        if self.tried != self._nth:
            return super()._store(path, body)
        if self._action == "kill-before":
            raise Killed
        if self._action in ("kill-after", "unknown"):
            super()._store(path, body)
        raise {
            "kill-after": Killed(),
            "unknown": Unreachable(f"{path}: cut off"),
            "409": Conflict(409, "Conflict", path),
            "500": ServerError(500, "InternalError", path),
            "429": TooManyRequests(429, "TooManyRequests", path),
        }[self._action]


class FaultyLedger(SqlLedger):
    """A ledger that goes away at the line that closes a period, once: before it is written, or after."""

    action = ""

    async def append(
        self,
        facts: Iterable[Fact],
        texts: Mapping[str, str],
        records: Iterable[AuditRecord] = (),
        past: Past | None = None,
    ) -> int:
        """Append, or not, and say that nobody knows."""
        given = list(facts)
        if not self.action or not any(f.kind is EntryKind.PERIOD for f in given):
            return await super().append(given, texts, records, past)
        action, self.action = self.action, ""
        if action.endswith("after"):
            await super().append(given, texts, records, past)
        raise Killed if action.startswith("kill") else LedgerUnavailable("gone")


class Story(Keeping):
    """September is sold, ends, is closed, and late evidence comes into October."""

    async def tell(self) -> None:
        """Look again after whatever went wrong, as the keeper's loop and a restart do."""
        await self.look_on("2026-09-15T00:00:00Z")
        await self.look_on("2026-10-01T00:00:00Z")
        await self.look_on(OCTOBER)
        self.journal.ends("train", "2026-09-30T00:00:00Z")
        await self.look_on(OCTOBER)

    async def look_on(self, when: str) -> None:
        """Look until nothing goes wrong, and once more after that."""
        for _ in range(2):
            try:
                await self.look(when)
            except Killed:
                self.keeper = self.another()
            except (KubeError, LedgerUnavailable):
                continue
        await self.look(when)

    async def end(self) -> tuple[Any, ...]:
        """Return what is left: every statement, and the ledger's lines that close periods."""
        lines = [f for f in await self.ledger.facts() if f.kind is EntryKind.PERIOD]
        kept = {
            path: (o["spec"], {k: v for k, v in o["status"].items() if k != "asOfTime"})
            for path, o in self.hub.objects.items()
        }
        return kept, lines, self.ledger.conflict


async def told(folder: Path, hub: Hub, at_closing: str = "") -> tuple[Any, ...]:
    story = Story(hub, folder, sold())
    await story.ledger.close()
    story.ledger = ledger = FaultyLedger(f"sqlite:///{folder}/ledger.sqlite")
    ledger.action = at_closing
    story.keeper = story.another()
    try:
        await story.tell()
        return await story.end()
    finally:
        await story.ledger.close()


@pytest.fixture(scope="module")
def wanted_end(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    hub = FaultyHub()
    end = asyncio.run(told(tmp_path_factory.mktemp("without"), hub))
    assert hub.tried == WRITES
    return end


@pytest.mark.parametrize("nth", range(1, WRITES + 1))
@pytest.mark.parametrize("action", ["kill-before", "kill-after", "unknown", "409", "500", "429"])
async def test_a_fault_at_any_write_to_the_hub_changes_nothing_in_the_end(
    tmp_path, wanted_end, nth, action
):
    hub = FaultyHub(nth, action)

    assert await told(tmp_path, hub) == wanted_end
    assert hub.tried >= WRITES


@pytest.mark.parametrize("action", ["kill-before", "kill-after", "gone-before", "gone-after"])
async def test_a_fault_at_the_line_that_closes_a_period_closes_it_once(
    tmp_path, wanted_end, action
):
    assert await told(tmp_path, FaultyHub(), action) == wanted_end
