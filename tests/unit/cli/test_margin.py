"""`sublet margin` as a person uses it."""

import json
import stat

import pytest
from typer.testing import CliRunner

from sublet.cli.main import app
from tests.builders.lines import execute
from tests.builders.pages import Seen
from tests.builders.sold_month import END, database, sold_month


class Program:
    """The command line on a month's ledger."""

    def __init__(self, url):
        self.url = url

    def run(self, *arguments):
        """Return exit status and what was printed."""
        given = ["margin", *map(str, arguments)]
        done = CliRunner().invoke(app, given, env={"SUBLET_DATABASE_URL": self.url})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output.strip()

    def september(self, *arguments):
        """Return what was printed of September."""
        status, text = self.run("--month", "2026-09", *arguments)
        assert status == 0, text
        return text


@pytest.fixture
def program(tmp_path):
    return Program(database(tmp_path))


@pytest.fixture
def with_rates(tmp_path):
    return Program(database(tmp_path, sold_month(with_rates=True)))


def cells(text, name):
    """Return the rows of a table that begin with a name."""
    return [line.split() for line in text.splitlines() if line.startswith(name)]


def test_each_currency_of_a_lease_is_a_line_and_none_are_added(program):
    text = program.september()

    assert cells(text, "west") == [
        ["west", "USD", "34409.76", "23040.00", "11369.76", "5760.00", "2.6667", "50.1%", "75.0%", "100.0%", "32.00", "63.84"],
    ]  # fmt: skip
    assert [row[1:3] for row in cells(text, "east")] == [["EUR", "8640.00"], ["USD", "7660.80"]]


def test_in_one_currency_by_dated_rates_every_lease_is_one_line(with_rates):
    text = with_rates.september("--currency", "EUR")

    assert [row[1:5] for row in cells(text, "east") + cells(text, "west")] == [
        ["EUR", "3830.40", "8640.00", "-4809.60"],
        ["EUR", "17204.88", "11520.00", "5684.88"],
    ]


@pytest.mark.parametrize(("by", "names"), [("lease", {"east", "west"}), ("class", {"h100"}), ("tenant", {"acme", "globex"})])  # fmt: skip
def test_each_side_is_for_programs_too(program, by, names):
    found = json.loads(program.september("--by", by, "-o", "json"))

    assert {item["name"] for item in found["items"]} == names
    assert found["ledger"]["seq"] == 17
    assert [x["claimBy"] for x in found["incidents"]] == ["2026-10-10T12:00:00Z"]


def test_csv_has_every_column_and_hours_that_can_be_added_up(program):
    header, *rows = (line.split(",") for line in program.september("-o", "csv").splitlines())

    sold = header.index("gpu-hours-sold")
    assert [row[sold] for row in rows] == ["1920.000000", "", "8640.000000"]
    assert {len(row) for row in rows} == {len(header)}


def test_the_time_may_be_any(program):
    text = program.run("--from", "2026-09-01T00:00:00Z", "--to", "2026-09-01T01:00:00Z")[1]

    assert cells(text, "west")[0][2:4] == ["47.88", "32.00"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--month", "2026-13"), "'2026-13' is no month; give year and month, as 2026-09"),
        (("--month", "september"), "'september' is no month"),
        (("--month", "2999-01"), "2999-01 is yet to come"),
        (("--month", "2026-09", "--from", "2026-09-01T00:00:00Z"), "not both"),
        (("--from", "2026-09-02T00:00:00Z", "--to", "2026-09-01T00:00:00Z"), "earlier than --to"),
        (("--currency", "euro"), "'euro' is no currency"),
        (("--month", "2026-09", "--currency", "EUR"), "the ledger has no table of exchange rates"),
        (("--month", "2026-09", "--html", "/nowhere/margin.html"), "can't be written: No such file"),
    ],
)  # fmt: skip
def test_what_cant_be_is_one_line_and_exit_status_1(program, arguments, says):
    status, text = program.run(*arguments)

    assert status == 1
    assert says in text
    assert len(text.splitlines()) == 1


def test_two_currencies_without_a_rate_are_never_added(with_rates):
    status, text = with_rates.run("--month", "2026-09", "--currency", "GBP")

    assert (status, len(text.splitlines())) == (1, 1)
    assert "the table has no rate from GBP to EUR at 2026-09-01T00:00:00Z" in text


def test_of_a_ledger_with_a_gap_nothing_is_said(program):
    execute(program.url, "DELETE FROM entries WHERE seq = 7")

    status, text = program.run("--month", "2026-09")

    assert (status, text) == (
        1,
        "sublet: line 8 of the ledger doesn't follow line 6; see `sublet ledger verify`",
    )


def test_of_a_ledger_whose_text_was_changed_nothing_is_said(program):
    execute(program.url, "UPDATE terms SET text = replace(text, '3.99', '9.99')")

    status, text = program.run("--month", "2026-09")

    assert status == 1
    assert "was changed; see `sublet ledger verify`" in text


def test_a_page_says_it_all_in_one_file_that_only_its_owner_may_read(program, tmp_path):
    file = tmp_path / "margin.html"
    assert program.september("--html", file).endswith(f"written to {file}")

    seen = Seen(file.read_text())
    assert seen.count("script") == 0
    assert seen.outside() == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    captions = seen.words("caption")
    assert {"Margins by lease", "Margins by tenant", "Margins by class"} <= set(captions)
    shown = [x.get("aria-label") for x in seen.all("svg") if x.get("role") == "img"]
    assert {label.split(".")[0] for label in shown} == {
        "Revenue against cost of each lease, EUR",
        "Revenue against cost of each lease, USD",
        "Margin by tenant, EUR",
        "Margin by tenant, USD",
        "GPUs of east",
        "GPUs of west",
    }
    incidents = next(x for x in seen.all("table") if "landlords owe" in str(x.find("caption").text))
    assert [x.text for x in incidents.find("tbody").iter("td")][2:5] == ["16.00", "32.00 USD", "63.84 USD"]  # fmt: skip


def test_a_page_that_cant_be_made_leaves_the_old_one(program, tmp_path):
    file = tmp_path / "margin.html"
    file.write_text("before")

    assert program.run("--month", "2026-09", "--currency", "EUR", "--html", file)[0] == 1
    assert file.read_text() == "before"


def test_names_in_a_page_are_text_whatever_they_say(tmp_path):
    month = sold_month()
    name = "<img src=x onerror=alert(1)>"
    month.tenant(name)
    month.held("claim", "west", 1, "2026-09-05T00:00:00Z", END, tenant=name)
    file = tmp_path / "margin.html"
    Program(database(tmp_path, month)).september("--html", file)

    seen = Seen(file.read_text())
    assert seen.count("img") == 0
    assert name in seen.words("th")
