"""The file of exchange rates goes into the ledger as it grows; what contradicts it is refused and said once."""

import os
import threading
from pathlib import Path

import pytest

from sublet.hub import rates
from sublet.hub.rates import RatesFile, RatesRefused, follows, parse_rates
from sublet.rating.books import Books
from tests.harness.fake_api import SteppedClock
from tests.unit.hub.test_marks import Store

TABLE = """
reportingCurrency: EUR
rates:
- {currency: USD, effectiveTime: 2026-01-01T00:00:00Z, rate: 0.90}
"""
GROWN = TABLE + "- {currency: USD, effectiveTime: 2026-06-01T00:00:00Z, rate: '0.85'}\n"


class Followed:
    """A file and what follows it."""

    def __init__(self, path: Path) -> None:
        self.path, self.store, self.told = path / "rates.yaml", Store(), list[bool]()
        self._written = 0
        self.file = self.anew()

    def anew(self) -> RatesFile:
        return RatesFile(str(self.path), self.store, SteppedClock(), self.told.append)

    async def says(self, text: str | bytes) -> str:
        """Write the file, have it looked at; return what is wrong with it."""
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self._written += 1
        os.utime(self.path, (self._written, self._written))
        await self.file.look()
        return self.file.fault

    @property
    def rates(self) -> list[str]:
        found = Books.of(self.store.entries, self.store.texts).rates
        return [f"{r.currency} {r.rate}" for r in found.rates] if found is not None else []


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


async def test_a_table_is_taken_over_and_its_rates_are_exact(followed):
    assert await followed.says(TABLE) == ""

    assert followed.rates == ["USD 0.90"]
    (fact,) = followed.store.facts
    assert (fact.claim_uid, fact.sequence, fact.tenant_uid, fact.lease_uid) == ("rates", 1, "", "")


async def test_a_table_that_grew_is_the_next_line_and_the_same_one_is_none(followed):
    for text in (TABLE, TABLE, GROWN, GROWN + "# checked\n"):
        assert await followed.says(text) == ""
    followed.file = followed.anew()
    await followed.file.look()

    assert [f.sequence for f in followed.store.facts] == [1, 2]
    assert followed.rates == ["USD 0.90", "USD 0.85"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GROWN.replace("0.90", "0.91"), "USD 0.90 from 2026-01-01T00:00:00Z stood in the table and was changed"),
        (TABLE.replace("2026-01", "2026-02"), "stood in the table and is missing"),
        (TABLE.replace("EUR", "GBP"), "reportingCurrency is EUR and can't change"),
        ("a: [", "no YAML"),
        ("[" * 10_000, "no YAML"),
        ("[]", "a mapping with reportingCurrency and rates is wanted"),
        (TABLE + "rate: 1\n", "unknown field rate"),
        ("rates: []", "reportingCurrency: Field required"),
        (TABLE.replace("0.90", "-1"), "rates.0.rate: "),
        (TABLE.replace("0.90", "0"), "rates.0.rate: Input should be greater than 0"),
        (TABLE.replace("T00:00:00Z", ""), "rates.0.effectiveTime: "),
        (TABLE.replace("USD", "usd"), "rates.0.currency: "),
        (TABLE.replace("USD", "EUR"), "rates.0: EUR is the reporting currency itself"),
        (TABLE + TABLE.splitlines()[-1], "rates.1: USD has two rates of one instant"),
        (b"\xff\xfe", "can't be read"),
        ("#" * 2_000_000, "it is longer than"),
    ],
)  # fmt: skip
async def test_what_cant_be_the_next_table_is_refused_in_one_line_and_the_last_one_holds(
    followed, text, words
):
    await followed.says(TABLE)
    fault = await followed.says(text)

    assert words in fault
    assert fault.startswith(f"{followed.path}: ")
    assert "\n" not in fault
    assert (followed.rates, followed.told) == (["USD 0.90"], [False, True])
    assert await followed.says(GROWN) == ""


async def test_years_of_rates_are_read_beside_the_event_loop(followed, monkeypatch):
    read_in = list[int]()

    def parse(text):
        read_in.append(threading.get_ident())
        return parse_rates(text)

    monkeypatch.setattr(rates, "parse_rates", parse)
    assert await followed.says(TABLE) == ""
    assert len(read_in) == 1
    assert read_in[0] != threading.get_ident()


async def test_a_store_that_is_away_is_tried_again_though_the_file_stays_as_it_is(followed):
    followed.store.is_away = True
    assert "away" in await followed.says(TABLE)
    followed.store.is_away = False
    await followed.file.look()

    assert (followed.rates, followed.file.fault) == (["USD 0.90"], "")


async def test_a_file_that_isnt_there_is_said_and_waited_for(followed):
    await followed.file.look()
    assert "it can't be read" in followed.file.fault

    assert await followed.says(TABLE) == ""


async def test_without_a_file_nothing_is_looked_at():
    file = RatesFile("", Store(), SteppedClock())
    await file.look()
    await file.run(lambda: True)

    assert file.fault == ""


def test_a_table_may_say_what_held_earlier_if_it_says_all_that_was_said():
    earlier = "- {currency: GBP, effectiveTime: 2025-01-01T00:00:00Z, rate: 1.1}\n"

    follows(parse_rates(TABLE), parse_rates(TABLE + earlier))
    with pytest.raises(RatesRefused):
        follows(parse_rates(TABLE + earlier), parse_rates(TABLE))
