"""Books that go on pass over nothing: a line that can't be understood is met again at every look."""

import json
from dataclasses import replace

import pytest

from sublet.ledger.entry import EntryKind
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.terms import content_hash
from sublet.store.carried import CarriedBooks
from sublet.store.sql import SqlLedger
from tests.builders.statements import sold

pytestmark = pytest.mark.postgres


async def test_a_reservation_of_a_newer_version_stops_every_look_and_not_the_first_alone(url: str):
    journal = sold()
    reserved = next(
        e.fact
        for e in journal.entries
        if e.fact.kind is EntryKind.TERMS and e.fact.claim_uid == "train"
    )
    newer = json.dumps(json.loads(journal.texts[reserved.price_hash]) | {"pricing": "Auctioned"})
    hash_ = content_hash(newer)
    facts = [replace(f, price_hash=hash_) if f == reserved else f for e in journal.entries if (f := e.fact)]  # fmt: skip
    ledger = SqlLedger(url)
    await ledger.append(facts, journal.texts | {hash_: newer})
    carried = CarriedBooks(ledger)

    for _ in range(2):
        with pytest.raises(BrokenLedger, match="pricing"):
            await carried.read_on()
    await ledger.close()


async def test_books_go_on_where_they_were(url: str):
    journal, ledger = sold(), SqlLedger(url)
    await ledger.append([e.fact for e in journal.entries], journal.texts)
    carried = CarriedBooks(ledger)
    before = await carried.read_on()
    journal.ends("train", "2026-09-02T00:00:00Z")
    await ledger.append([journal.entries[-1].fact], journal.texts)

    assert await carried.read_on() is before
    assert before.seq == len(journal.entries)
    await ledger.close()
