"""The ledger's store on SQLite and on a real PostgreSQL server: one suite."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.ledger.entry import EntryKind, EntryType
from sublet.ledger.port import Disagreement, LedgerConflict, LedgerUnavailable
from sublet.ledger.texts.adjustment import Adjustment
from sublet.store import sql
from sublet.store.sql import SqlLedger
from sublet.store.tables import entries
from sublet.store.trail import SqlTrail
from tests.builders.lines import PRICE, TEXTS, execute, fact
from tests.harness.postgres import PostgresServer
from tests.integration.store.conftest import emptied

pytestmark = pytest.mark.postgres


async def test_facts_are_kept_in_order_and_prove_themselves(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a"), fact("b")], TEXTS)
    await ledger.append([fact("a", 9, type_=EntryType.CLOSE)], {})
    await ledger.close()

    again = SqlLedger(url)
    assert [(f.claim_uid, f.type) for f in await again.facts()] == [
        ("a", "open"),
        ("b", "open"),
        ("a", "close"),
    ]
    assert (await again.verify()).fault is None
    assert await again.read_terms([PRICE.hash]) == {PRICE.hash: PRICE.text}
    await again.close()


async def test_a_fact_reported_again_changes_nothing(url: str):
    ledger = SqlLedger(url)
    assert await ledger.append([fact("a"), fact("a")], {}) == 1
    assert await ledger.append([fact("a")], {}) == 0
    assert len(await ledger.facts()) == 1
    await ledger.close()


async def test_the_same_happening_with_other_content_is_refused_and_the_rest_goes_on(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a")], {})

    results = await asyncio.gather(
        ledger.append([fact("a", gpus=4)], {}),
        ledger.append([fact("b")], {}),
        return_exceptions=True,
    )

    assert isinstance(results[0], LedgerConflict)
    assert results[1] == 1
    await ledger.close()


async def test_a_conflict_stops_new_binds_and_nothing_else(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a")], {})
    with pytest.raises(LedgerConflict) as raised:
        await ledger.append([fact("a", gpus=4)], {})
    said = raised.value.said
    assert said == Disagreement(ClaimUID("a"), 1, fact("a").content, fact("a", gpus=4).content)

    with pytest.raises(LedgerConflict, match="no new binds until the ledger is looked at"):
        await ledger.intend_bound(ClaimUID("b"), 1, Millis(1))
    assert await ledger.append([fact("a", 9, type_=EntryType.CLOSE)], {}) == 1
    await ledger.close()


async def test_the_first_intent_wins(url: str):
    ledger, other = SqlLedger(url), SqlLedger(url)

    assert await ledger.intend_bound(ClaimUID("a"), 1, Millis(100)) == 100
    assert await other.intend_bound(ClaimUID("a"), 1, Millis(200)) == 100
    assert await other.intend_bound(ClaimUID("a"), 2, Millis(300)) == 300
    await ledger.close()
    await other.close()


async def test_a_try_that_handed_out_nothing_gives_way_to_a_later_one_and_never_to_an_earlier(
    url: str,
):
    ledger = SqlLedger(url)
    await ledger.intend_bound(ClaimUID("a"), 1, Millis(100))

    assert await ledger.intend_bound(ClaimUID("a"), 1, Millis(200), anew=True) == 200
    assert await ledger.intend_bound(ClaimUID("a"), 1, Millis(150), anew=True) == 200
    assert await ledger.intend_bound(ClaimUID("a"), 1, Millis(300)) == 200
    assert await ledger.intend_bound(ClaimUID("a"), 2, Millis(300), anew=True) == 300
    await ledger.append([fact("a", 200)], {})
    with pytest.raises(LedgerConflict, match="the hub is older than the ledger"):
        await ledger.intend_bound(ClaimUID("a"), 1, Millis(900), anew=True)
    await ledger.close()


async def test_what_was_intended_is_known_to_every_process(url: str):
    ledger, other = SqlLedger(url), SqlLedger(url)
    await ledger.intend_bound(ClaimUID("a"), 1, Millis(100))

    assert await other.was_intended(ClaimUID("a"), 1)
    assert not await other.was_intended(ClaimUID("a"), 2)
    assert not await other.was_intended(ClaimUID("b"), 1)
    await ledger.close()
    await other.close()


async def test_a_clock_that_went_back_bills_no_time_twice(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a", 100), fact("a", 500, type_=EntryType.CLOSE)], {})
    await ledger.append([fact("b", 100)], {})

    assert await ledger.intend_bound(ClaimUID("a"), 2, Millis(300)) == 500
    assert await ledger.intend_bound(ClaimUID("a"), 3, Millis(700)) == 700
    assert await ledger.intend_bound(ClaimUID("b"), 2, Millis(300)) == 300
    await ledger.close()


async def test_a_reservation_that_was_billed_is_never_handed_over_again(url: str):
    ledger = SqlLedger(url)
    assert await ledger.intend_bound(ClaimUID("a"), 1, Millis(100)) == 100
    await ledger.append([fact("a", 100)], {})

    with pytest.raises(LedgerConflict, match="the hub is older than the ledger"):
        await ledger.intend_bound(ClaimUID("a"), 1, Millis(900))
    await ledger.append([fact("a", 500, type_=EntryType.CLOSE)], {})
    with pytest.raises(LedgerConflict, match="the hub is older than the ledger"):
        await ledger.intend_bound(ClaimUID("a"), 1, Millis(900))
    assert await ledger.intend_bound(ClaimUID("a"), 2, Millis(900)) == 900
    assert await ledger.intend_bound(ClaimUID("b"), 1, Millis(900)) == 900
    await ledger.close()


async def test_two_writers_at_once_make_one_chain(url: str):
    ledgers = [SqlLedger(url), SqlLedger(url)]
    await asyncio.gather(*(ledger.start() for ledger in ledgers[:1]))

    await asyncio.gather(*(ledgers[i % 2].append([fact(f"c{i}")], TEXTS) for i in range(60)))

    proof = await ledgers[0].verify()
    assert (proof.entries, proof.fault) == (60, None)
    for ledger in ledgers:
        await ledger.close()


async def test_a_line_changed_in_the_database_is_found(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a"), fact("b")], TEXTS)
    execute(url, "UPDATE entries SET gpus = 1 WHERE seq = 1")

    assert str((await ledger.verify()).fault).startswith("line 1 was changed")
    await ledger.close()


async def test_a_schema_of_a_newer_version_is_refused(url: str):
    ledger = SqlLedger(url)
    await ledger.start()
    await ledger.close()
    execute(url, "UPDATE alembic_version SET version_num = '9999'")

    newer = SqlLedger(url)
    with pytest.raises(LedgerUnavailable, match="newer than this program"):
        await newer.start()
    assert (ledger.opened, newer.opened) == (True, False)
    await newer.close()


async def test_a_store_that_hangs_is_away_until_it_answers_and_doubles_nothing(
    server: PostgresServer,
):
    execute(server.url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    ledger = SqlLedger(server.url, call_seconds=0.5)
    await until(lambda: ledger.append([fact("a")], {}))
    with server.frozen():
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match="answer"):
                await ledger.append([fact("b")], {})

    await until(lambda: ledger.append([fact("b")], {}))
    assert [f.claim_uid for f in await ledger.facts()] == ["a", "b"]
    await ledger.close()


async def test_a_connection_that_leads_to_where_nothing_can_be_written_is_left(
    server: PostgresServer,
):
    url = emptied(server)
    first = SqlLedger(url)
    await first.append([fact("before")], {})
    await first.close()
    execute(url, "ALTER ROLE sublet SET default_transaction_read_only = on")
    ledger = SqlLedger(url)
    assert len(await ledger.facts()) == 1
    execute(url, "SET TRANSACTION READ WRITE", "ALTER ROLE sublet RESET ALL")  # for new connections

    with pytest.raises(LedgerUnavailable, match="read-only"):
        await ledger.append([fact("a")], {})

    assert await ledger.append([fact("a")], {}) == 1
    await ledger.close()


async def until(work):
    """Do it again until the store answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await work()
            except LedgerUnavailable:
                await asyncio.sleep(0.1)


async def test_a_store_that_is_away_is_said_so_and_comes_back(tmp_path: Path):
    folder = tmp_path / "volume"
    ledger = SqlLedger(f"sqlite:///{folder}/ledger.sqlite")
    with pytest.raises(LedgerUnavailable, match="the ledger's store is away"):
        await ledger.append([fact("a")], {})

    folder.mkdir()

    assert await ledger.append([fact("a")], {}) == 1
    await ledger.close()


async def test_a_disk_that_is_full_is_said_and_costs_no_line(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    ledger = SqlLedger(url)
    await ledger.append([fact("before")], TEXTS)
    with full_disk(ledger):
        many = [fact(f"claim-{i}") for i in range(2_000)]
        with pytest.raises(LedgerUnavailable, match="full"):
            await ledger.append(many, {})
        with pytest.raises(LedgerUnavailable, match="full"):
            await ledger.append(many, {})

    assert await ledger.append(many, {}) == 2_000
    assert (await ledger.verify()).fault is None
    assert len(await ledger.facts()) == 2_001
    await ledger.close()


async def test_a_ledger_that_is_read_and_takes_nothing_says_so_until_it_takes_lines(tmp_path: Path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")
    await ledger.append([fact("before")], TEXTS)
    with full_disk(ledger):
        many = [fact(f"claim-{i}") for i in range(2_000)]
        with pytest.raises(LedgerUnavailable, match="full"):
            await ledger.append(many, {})
        # there is room for this one row
        await ledger.intend_bound(ClaimUID("train"), 1, Millis(5))

        assert len(await ledger.facts()) == 1
        assert ledger.takes_nothing

    await ledger.append(many, {})
    assert not ledger.takes_nothing
    await ledger.close()


@contextmanager
def full_disk(ledger: SqlLedger) -> Iterator[None]:
    """No page more than there is now, as on a disk without space."""

    def limit(pages: str) -> None:
        with ledger._engine.connect() as connection:
            now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages or now}")

    limit("")
    yield
    limit("4294967294")


async def test_a_ledger_opened_for_reading_is_read_and_refuses_to_write(url: str):
    writer = SqlLedger(url)
    await writer.append([fact("a")], {})
    reader = SqlLedger(url, read_only=True)

    assert [f.claim_uid for f in await reader.facts()] == ["a"]
    assert [e.seq for e in await reader.read_entries(0, 1)] == [1]
    with pytest.raises(LedgerUnavailable, match=r"read-?only"):
        await reader.append([fact("b")], {})
    assert len(await writer.facts()) == 1
    await reader.close()
    await writer.close()


async def test_a_ledger_of_another_version_is_not_changed_by_reading(url: str):
    writer = SqlLedger(url)
    await writer.start()
    await writer.close()
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    reader = SqlLedger(url, read_only=True)

    with pytest.raises(LedgerUnavailable, match="the ledger's schema is 9999, this program's is"):
        await reader.facts()
    await reader.close()


async def test_reading_makes_no_ledger_where_there_is_none(url: str, tmp_path: Path):
    reader = SqlLedger(url, read_only=True)

    with pytest.raises(LedgerUnavailable, match=r"no ledger in this database|unable to open"):
        await reader.facts()
    await reader.close()
    assert files_in(tmp_path) == []


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_reading_the_whole_ledger_holds_up_no_line(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a")], TEXTS)
    reading, written = threading.Event(), threading.Event()

    def read(connection: Connection) -> bool:
        connection.execute(select(entries)).all()
        reading.set()
        return written.wait(20)

    long = asyncio.create_task(ledger.read(read))
    await asyncio.to_thread(reading.wait, 20)
    assert await ledger.append([fact("b")], {}) == 1
    written.set()

    assert await long
    await ledger.close()


async def test_reading_the_whole_ledger_says_that_it_goes_on(url: str, monkeypatch):
    ledger = SqlLedger(url)
    await ledger.append([fact(c) for c in "abc"], TEXTS)
    beats = []
    monkeypatch.setattr(sql, "_ROWS", 1)
    monkeypatch.setattr(ledger._reader, "beat", lambda: beats.append(1))

    await ledger.verify()
    assert len(beats) == 3 + len(TEXTS)
    await ledger.close()


async def test_what_is_read_at_length_is_of_one_state(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a")], TEXTS)
    reading, written = threading.Event(), threading.Event()

    def read(connection: Connection) -> list[int]:
        before = len(connection.execute(select(entries)).all())
        reading.set()
        written.wait(20)
        return [before, len(connection.execute(select(entries)).all())]

    long = asyncio.create_task(ledger.read(read))
    await asyncio.to_thread(reading.wait, 20)
    await ledger.append([fact("b")], {})
    written.set()

    assert await long == [1, 1]
    await ledger.close()


async def test_an_adjustment_is_a_persons_word_in_the_audit_trail_too(url: str):
    said = Adjustment(period="2026-11", amount="-12.50", currency="USD", reason="late", by="ann")
    line = replace(
        fact("t"),
        kind=EntryKind.ADJUSTMENT,
        type=EntryType.SET,
        price_hash=said.hash,
        tags_hash="",
    )
    ledger = SqlLedger(url)
    for _ in range(2):
        await ledger.append([line], {said.hash: said.text})

    (kept,) = await SqlTrail(ledger).lines()
    assert (kept.record.what, kept.record.who) == ("adjust", "ann")
    assert (kept.record.after, kept.record.reason) == ("-12.50 USD for 2026-11", "late")
    assert (await ledger.verify()).fault is None
    await ledger.close()
