"""`sublet ledger adjust` as a person uses it: said once, refused plainly, in the audit trail."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from sublet.api.times import parse_instant
from sublet.cli import adjust
from sublet.cli.main import app
from sublet.ledger.entry import Entry, EntryKind
from sublet.rating.charges import charges
from sublet.rating.grid import Grid
from sublet.rating.model import Category
from sublet.rating.tenancy import tenancies_of
from sublet.store.adjusting import write_adjustment
from sublet.store.reading import read_books
from sublet.store.sql import SqlLedger
from tests.builders.closing import closing_of
from tests.builders.sold_month import END, START, database, sold_month
from tests.builders.wholesale import span
from tests.harness.fake_api import SteppedClock

NOW = parse_instant("2026-09-20T12:00:00Z")


class Program:
    """The command line on a month's ledger, in the middle of that month."""

    def __init__(self, folder, month=None):
        self.url = database(folder, month)

    def run(self, *arguments, by=("--by", "jo")):
        """Return exit status and what was printed."""
        given = ["ledger", "adjust", *arguments, *by]
        done = CliRunner().invoke(app, given, env={"SUBLET_DATABASE_URL": self.url})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output.strip()

    def ledger(self, *arguments):
        """Return what another command of the ledger prints."""
        done = CliRunner().invoke(
            app, ["ledger", *arguments], env={"SUBLET_DATABASE_URL": self.url}
        )
        return done.output.strip()

    def books(self):
        """Return what rating reads."""

        async def read():
            ledger = SqlLedger(self.url, read_only=True)
            try:
                return await read_books(ledger)
            finally:
                await ledger.close()

        return asyncio.run(read())


@pytest.fixture(autouse=True)
def today(monkeypatch):
    clock = SteppedClock()
    clock.seconds = NOW / 1_000
    monkeypatch.setattr(adjust, "SystemClock", lambda: clock)


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


GOODWILL = ("acme", "-12.50", "USD", "--reason", "Goodwill")


def test_a_credit_is_a_line_of_the_ledger_and_stands_on_the_bill(program):
    status, text = program.run(*GOODWILL)

    assert (status, text) == (0, "line 18: 12.5 USD credited to tenant acme for 2026-09")
    books = program.books()
    found = charges(tenancies_of(books)["acme"], span(START, END), Grid.NONE, parse_instant(END))
    assert [str(c.amount) for c in found if c.category is Category.ADJUSTMENT] == ["-25/2"]
    assert program.ledger("verify").startswith("18 lines and 1 audit record are whole")


def test_who_said_so_and_why_is_in_the_audit_trail(program):
    program.run(*GOODWILL)

    (record,) = json.loads(program.ledger("audit", "-o", "json"))
    assert (record["what"], record["who"], record["after"], record["reason"]) == (
        "adjust", "jo", "-12.5 USD for 2026-09", "Goodwill",
    )  # fmt: skip


@pytest.mark.parametrize("by", [(), ("--by", "sublet")], ids=["in the operator's pod", "by name"])
def test_nobody_says_it_in_the_operators_name(program, monkeypatch, by):
    monkeypatch.setattr("getpass.getuser", lambda: "sublet")
    status, text = program.run(*GOODWILL, by=by)

    assert status == 1
    assert text.endswith("'sublet' is the operator in the audit trail; say who you are: --by NAME")
    assert not program.books().adjustments


def test_said_again_it_is_said_once(program):
    program.run(*GOODWILL)
    status, text = program.run(*GOODWILL, by=("--by", "kim"))

    assert (status, text) == (
        0,
        "line 18 says so already: 12.5 USD credited to tenant acme for 2026-09; nothing was written",
    )
    assert len(program.books().adjustments) == 1


def test_with_another_key_the_same_is_said_twice(program):
    for key in ("one", "two", "two"):
        assert program.run(*GOODWILL, "--key", key)[0] == 0

    assert [said.key for _, said in program.books().adjustments] == ["one", "two"]


def test_a_key_that_was_used_for_something_else_is_refused(program):
    program.run(*GOODWILL, "--key", "one")
    status, text = program.run("acme", "7", "USD", "--reason", "Other", "--key", "one")

    assert status == 1
    assert text == "sublet: the adjustment: line 18 of the ledger has that key and says -12.5 USD for 2026-09 (Goodwill); give another --key"  # fmt: skip


def test_of_many_who_say_the_same_at_once_one_is_written(program):
    fact, said, _ = asyncio.run(adjust._read(program.url, word(), NOW))

    async def write():
        ledgers = [SqlLedger(program.url) for _ in range(6)]
        for each in ledgers:
            await each.start()
        done = await asyncio.gather(*(write_adjustment(each, fact, said) for each in ledgers))
        for each in ledgers:
            await each.close()
        return done

    done = asyncio.run(write())
    assert sorted(each.is_new for each in done) == [False] * 5 + [True]
    assert {each.seq for each in done} == {18}


def test_what_it_is_about_may_be_a_claim(program):
    status, _ = program.run(*GOODWILL, "--claim", "acme/train")

    assert status == 0
    ((_, said),) = program.books().adjustments
    assert (said.namespace, said.claim) == ("acme", "acme/train")


def test_a_month_before_anything_was_owed_but_the_tenant_was_there_is_one(program):
    assert program.run(*GOODWILL, "--period", "2026-08")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*GOODWILL, "--period", "2026-10"), "2026-10 is yet to come"),
        ((*GOODWILL, "--period", "2026-07"), "tenant acme has no billing period 2026-07: the first one is 2026-08"),
        ((*GOODWILL, "--period", "2026-00"), "'2026-00' is no month"),
        (("initech", *GOODWILL[1:]), "knows no tenant 'initech'; known are: acme, globex"),
        (("acme", "0.00", *GOODWILL[2:]), "an amount of 0 adjusts nothing"),
        (("acme", "1e3", *GOODWILL[2:]), "'1e3' is no amount"),
        (("acme", "12,50", *GOODWILL[2:]), "'12,50' is no amount"),
        (("acme", "1.1234567", *GOODWILL[2:]), "is no amount"),
        (("acme", "12", "dollars", "--reason", "x"), "--currency: "),
        (("acme", "12", "USD", "--reason", ""), "--reason: "),
        ((*GOODWILL, "--claim", "acme/infer"), "no claim acme/infer was ever billed to that tenant"),
    ],
)  # fmt: skip
def test_what_cant_be_is_one_line_and_nothing_is_written(program, arguments, says):
    status, text = program.run(*arguments)

    assert status == 1
    assert says in text
    assert len(text.splitlines()) == 1
    assert program.books().seq == 17


def test_of_a_closed_period_it_says_where_it_is_billed_and_before_the_first_one_nothing_can_be(tmp_path):  # fmt: skip
    month = sold_month()
    fact, text = closing_of(month.books())
    month.facts.append(fact)
    month.texts[fact.price_hash] = text
    program = Program(tmp_path, month)

    assert program.run(*GOODWILL)[1].endswith("; that period is closed: it is billed in the next open one")  # fmt: skip
    status, said = program.run(*GOODWILL, "--period", "2026-08")
    assert (status, said.endswith("no billing period 2026-08: the first one is 2026-09")) == (1, True)  # fmt: skip


def test_without_a_database_it_says_so(program, monkeypatch):
    program.url = ""
    monkeypatch.delenv("SUBLET_DATABASE_URL", raising=False)

    status, text = program.run(*GOODWILL)
    assert (status, len(text.splitlines())) == (1, 1)


def word():
    return adjust.Word("acme", "-12.5", "USD", "Goodwill", None, None, None, "jo")


def test_lines_that_others_write_meanwhile_are_no_hindrance(program):
    fact, said, _ = asyncio.run(adjust._read(program.url, word(), NOW))
    program.run("globex", "3", "USD", "--reason", "Setup")

    assert asyncio.run(adjust._written(program.url, fact, said)) == (19, True)
    last = program.books().adjustments[-1][0]
    assert isinstance(last, Entry)
    assert last.fact.kind is EntryKind.ADJUSTMENT
