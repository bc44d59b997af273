"""`sublet book`: supply and demand in time, as numbers, as a chart and as a page."""

import json
import stat

import pytest

from sublet.api.times import Millis, format_instant, parse_instant
from sublet.cli import book, chart
from sublet.pages.supply import Counts, Line, Step, line_of, make_book, sum_of
from tests.builders.api import as_claim, as_lease, claim, lease
from tests.harness.fake_api import SteppedClock

NOW = parse_instant("2026-11-22T10:00:00Z")
DAY = 86_400_000


def day(number: float) -> Millis:
    return Millis(NOW + int(number * DAY))


def counted(name="west", steps=(), **inventory):
    """Return a lease with what the operator says of it; steps: (day, committed, sellable, reserved)."""
    counts = {"committed": 64, "bound": 16, "reserved": 8, "free": 40, **inventory}
    coming = [
        {"time": format_instant(day(d)), "committed": c, "sellable": s, "reserved": r, "free": max(0, s - r)}
        for d, c, s, r in steps
    ]  # fmt: skip
    return {**lease(name), "status": {"inventory": counts, "outlook": coming}}


def waits(name="infer", gpus=16, start=None):
    pending = {"reason": "WaitingForCapacity", "message": "16 of 16 GPUs are taken"}
    if start is not None:
        pending["estimatedStartTime"] = format_instant(start)
    return {**claim(name, gpus=gpus), "status": {"pending": pending}}


WEST = counted(steps=[(5, 64, 64, 8), (10, 128, 128, 100), (20, 0, 0, 0)])


@pytest.fixture
def today(monkeypatch):
    clock = SteppedClock()
    clock.seconds = NOW / 1_000
    monkeypatch.setattr(book, "SystemClock", lambda: clock)


def test_a_leases_line_begins_with_what_is_now():
    line = line_of(as_lease(WEST), NOW)

    assert line.at(day(0)) == Counts(64, 64, 24, 40)
    assert line.at(day(7)) == Counts(64, 64, 8, 56)
    assert line.at(day(400)) == Counts()
    assert line.at(Millis(NOW - 1)) == Counts()


def test_a_step_that_has_passed_is_what_is_now():
    line = line_of(as_lease(WEST), day(6))

    assert [step.at_ms for step in line.steps] == [day(6), day(10), day(20)]


def test_a_lease_that_nobody_has_counted_has_nothing():
    assert line_of(as_lease(lease("new")), NOW).steps == (Step(NOW, Counts()),)


def test_all_leases_are_added_up_at_each_step_of_any():
    east = line_of(as_lease(counted("east", steps=[(3, 32, 32, 32)], committed=32, bound=0, reserved=0, free=32)), NOW)  # fmt: skip
    total = sum_of([line_of(as_lease(WEST), NOW), east])

    assert [step.at_ms for step in total.steps] == [day(0), day(3), day(5), day(10), day(20)]
    assert total.at(day(4)) == Counts(96, 96, 56, 40)


def test_a_stretch_of_time_is_as_tight_as_its_tightest_instant():
    line = line_of(as_lease(WEST), NOW)

    assert line.tightest(day(0), day(30)) == Step(day(20), Counts())
    assert line.tightest(day(6), day(15)).counts.free == 28
    assert line.tightest(day(6), day(9)) == Step(day(6), Counts(64, 64, 8, 56))


def test_the_chart_fills_what_is_held_below_what_is_free():
    columns = [Counts(10, 10, 5, 5), Counts(10, 6, 6, 0), Counts(10, 4, 8, 0), Counts(10, 10, 1, 9), Counts()]  # fmt: skip
    rows = [row.plain[-len(columns) :] for row in chart.rows(columns)]

    assert rows[0] == "░··░ "
    assert rows[-1] == "████ "
    assert "".join(row[2] for row in rows) == "··▒▒▒▒████"
    assert chart.rows(columns)[0].plain.startswith("    10 │")


def test_it_is_shown_as_chart_and_table(person, hub, today):
    hub.put(WEST)
    hub.put(waits(start=day(5)))
    status, out, _ = person.run("book")

    lines = out.splitlines()
    assert status == 0
    assert lines[10].split() == ["2026-11-22", "2026-12-07", "2026-12-22"]
    assert lines[11].strip() == "█ held by claims   ░ free   · committed, can't be sold   ▒ held beyond what can be sold"  # fmt: skip
    assert [line.split() for line in lines[13:]] == [
        ["LEASE", "COMMITTED", "SELLABLE", "HELD", "FREE", "LEAST-FREE", "FROM"],
        ["west", "64", "64", "24", "40", "0", "2026-12-12T10:00:00Z"],
        ["all", "64", "64", "24", "40", "0", "2026-12-12T10:00:00Z"],
        [],
        ["WAITING", "CLASS", "GPUS", "EXPECTED", "REASON"],
        ["acme/infer", "h100", "16", "2026-11-27T10:00:00Z", "WaitingForCapacity"],
    ]
    assert "\x1b" not in out, "no terminal, no colours"


def test_programs_get_the_steps(person, hub, today):
    hub.put(WEST)
    _, out, _ = person.run("book", "--for", "7d", "-o", "json")

    found = json.loads(out)
    assert (found["from"], found["to"]) == ("2026-11-22T10:00:00Z", "2026-11-29T10:00:00Z")
    assert found["leases"][0]["steps"] == [
        {"time": "2026-11-22T10:00:00Z", "committed": 64, "sellable": 64, "held": 24, "free": 40},
        {"time": "2026-11-27T10:00:00Z", "committed": 64, "sellable": 64, "held": 8, "free": 56},
    ]


def test_the_page_is_written_whole_and_for_its_owner(person, hub, today, tmp_path):
    hub.put(WEST)
    hub.put(counted("east"))
    waiting = hub.put(waits())
    waiting["status"]["pending"]["message"] = "<b>16</b> of 16 are taken"
    file = tmp_path / "book.html"
    _, out, _ = person.run("book", "--html", file)

    text = file.read_text()
    assert out.splitlines()[-1] == f"written to {file}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert text.count("<svg") >= 3
    assert "&lt;b&gt;16" in text
    assert "<b>" not in text
    assert "acme/infer" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("north",), "the hub has no GpuLease north; sublet get leases lists them"),
        (("--for", "soon"), "--for 'soon' is no length of time"),
    ],
)
def test_what_cant_be_shown_is_one_line(person, hub, arguments, says):
    hub.put(WEST)
    status, _, err = person.run("book", *arguments)

    assert (status, len(err.splitlines())) == (1, 1)
    assert says in err


def test_without_leases_there_is_nothing_to_sell(person):
    assert person.run("book")[1] == "no leases: nothing to sell\n"


def test_quotes_and_ended_claims_dont_wait():
    quote = waits("quote")
    quote["spec"]["suspended"] = True
    ended = waits("ended")
    ended["status"]["conditions"] = [
        {"type": "Ended", "status": "True", "reason": "Completed", "lastTransitionTime": "2026-11-22T10:00:00Z"}
    ]  # fmt: skip
    found = make_book([], map(as_claim, (quote, ended, waits("b"), waits("a", start=day(9)))), NOW, day(1))  # fmt: skip

    assert [c.metadata.name for c in found.waiting] == ["a", "b"]
    assert found.all == Line("all", ())
