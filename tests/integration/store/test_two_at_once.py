"""Two programs write to one ledger at once: what one decides on, the other may have changed since it was read."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.interval import intervals
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.texts.adjustment import Adjustment
from sublet.store import adjusting, appending
from sublet.store.adjusting import Adjusted, write_adjustment
from sublet.store.following import Following
from sublet.store.sql import SqlLedger
from tests.builders.lines import TEXTS, fact

pytestmark = pytest.mark.postgres

SAID = Adjustment(
    period="2026-11", amount="-12.50", currency="USD", reason="late", by="ann", key="one"
)
TENANT = replace(fact("t"), kind=EntryKind.ADJUSTMENT, type=EntryType.SET, gpus=0, tags_hash="")


class Other:
    """Another program, which writes once, just after this one has read something."""

    def __init__(self, url: str, write: Callable[[SqlLedger], Coroutine[Any, Any, Any]]) -> None:
        self._url, self._write = url, write
        self._waits = True

    def after(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """Return the reading function, with the other's write after its first call."""

        def wrapped(*arguments: Any) -> Any:
            found = read(*arguments)
            if self._waits:
                self._waits = False
                asyncio.run(self._written())
            return found

        return wrapped

    async def _written(self) -> None:
        ledger = SqlLedger(self._url)
        await self._write(ledger)
        await ledger.close()


async def adjusted(
    url: str, monkeypatch: pytest.MonkeyPatch, by_other: Adjustment
) -> tuple[Adjusted, list[str | None]]:
    """Say SAID while another program says something; return what became of it, and the keys in the ledger."""
    ledger = SqlLedger(url)
    await ledger.start()
    other = Other(url, lambda theirs: write_adjustment(theirs, TENANT, by_other))
    monkeypatch.setattr(adjusting, "_known", other.after(adjusting._known))
    done = await write_adjustment(ledger, TENANT, SAID)
    lines = await ledger.facts()
    texts = await ledger.read_terms([line.price_hash for line in lines])
    assert (await ledger.verify()).fault is None
    await ledger.close()
    return done, [Adjustment.read(texts[line.price_hash]).key for line in lines]


async def test_an_adjustment_that_another_said_in_the_same_moment_is_not_called_new(url, monkeypatch):  # fmt: skip
    done, keys = await adjusted(url, monkeypatch, SAID)

    assert (done, keys) == (Adjusted(1, is_new=False), ["one"])


async def test_another_adjustment_of_the_tenant_in_the_same_moment_hinders_neither(url, monkeypatch):  # fmt: skip
    done, keys = await adjusted(url, monkeypatch, SAID.model_copy(update={"key": "two"}))

    assert (done, keys) == (Adjusted(2, is_new=True), ["two", "one"])


async def test_a_silence_that_another_begins_while_the_bill_is_ended_ends_with_it(url, monkeypatch):
    def beside(type_: EntryType, at_ms: int) -> Fact:
        return replace(fact("a", at_ms, type_=type_), kind=EntryKind.DISPUTED)

    ledger = SqlLedger(url)
    await ledger.append([fact("a")], TEXTS)
    other = Other(url, lambda theirs: theirs.append([beside(EntryType.OPEN, 20)], {}))
    monkeypatch.setattr(appending, "Following", other.after(Following))
    await ledger.append([fact("a", 50, type_=EntryType.CLOSE)], {})

    found = {(x.kind, x.start_ms, x.end_ms) for x in intervals(await ledger.facts())}
    assert found == {(EntryKind.BOUND, 5, 50), (EntryKind.DISPUTED, 20, 50)}
    await ledger.close()


class Refusing(SqlLedger):
    """A ledger in which the place of one claim's lines is taken at each try."""

    def _append_all(self, connection: Any, orders: list[Any]) -> list[int]:
        if any(f.claim_uid == "bad" for order in orders for f in order.facts):
            raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed: entries.id"))
        return super()._append_all(connection, orders)


async def test_a_claim_whose_lines_find_no_place_is_named_and_keeps_out_nobody_elses(url):
    ledger = Refusing(url)
    names = ("before", "bad", "after")
    done = await asyncio.gather(*(ledger.append([fact(n)], TEXTS) for n in names), return_exceptions=True)  # fmt: skip
    written = [f.claim_uid for f in await ledger.facts()]
    await ledger.close()

    assert (done[0], written, done[2]) == (1, ["before", "after"], 1)
    assert isinstance(done[1], LedgerUnavailable)
    assert str(done[1]).startswith("lines of claim bad can't be written: ")


async def test_the_lines_that_a_program_found_are_none_of_its_own(url: str):
    before, ledger, after = SqlLedger(url), SqlLedger(url), SqlLedger(url)
    await before.append([fact("a"), fact("b")], TEXTS)
    await ledger.append([fact("a")], TEXTS)
    await before.append([fact("c")], TEXTS)
    await ledger.append([fact("d")], TEXTS)
    await ledger.append([fact("e")], TEXTS)

    assert [f.claim_uid for f in await ledger.found_facts(2)] == ["c", "b"]
    assert [f.claim_uid for f in await after.found_facts(2)] == ["e", "d"]
    for each in (before, ledger, after):
        await each.close()
