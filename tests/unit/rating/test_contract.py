"""No edit of a lease changes what was before it; what is added with a date of its own holds from that date."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from sublet.api.ids import LeaseUID
from sublet.api.times import MS_PER_HOUR
from sublet.ledger.entry import EntryKind
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.grid import Grid
from sublet.rating.model import LeaseState
from sublet.rating.sla import incidents_of
from sublet.rating.uses import extras_of
from sublet.rating.wholesale import cells_of
from tests.builders.billing import Journal
from tests.builders.wholesale import at, span

WEST = LeaseUID("west")
MADE = "2026-01-01T00:00:00Z"
EDITED = "2026-10-03T00:00:00Z"
SEPTEMBER = span("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z")
UP_TO_THE_EDIT = Span(SEPTEMBER.from_ms, at(EDITED))
NOVEMBER = span("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
NOW = at("2027-01-01T00:00:00Z")
SLA = {"graceSeconds": 600, "creditPercent": 100, "maxPercent": 50, "claimWithinDays": 30}


def phase(start: str, gpus: int, number: str = "p1") -> dict[str, Any]:
    return {"commitmentId": number, "startTime": start, "gpus": gpus}


def agreed(mode: str = "TakeOrPay", **changed: Any) -> dict[str, Any]:
    """Return a contract for 64 GPUs until 2028, with a window on 20 September, an SLA and a minimum; `phases` may be others."""
    phases = changed.pop("phases", [phase(MADE, 64)])
    return {
        "term": {"startTime": MADE, "endTime": "2028-01-01T00:00:00Z"},
        "commitment": {"mode": mode, "phases": phases},
        "maintenance": [{"startTime": "2026-09-20T00:00:00Z", "endTime": "2026-09-20T06:00:00Z"}],
        "billing": {"minimumSeconds": 3_600, "roundUpToSeconds": 60},
        "sla": SLA,
    } | changed


def journal(mode: str = "TakeOrPay") -> Journal:
    """Return a ledger in which a claim had 8 GPUs for half an hour and, in two incidents, others lacked some or all."""
    made = Journal()
    made.tenant()
    made.lease("west", when=MADE, **agreed(mode))
    made.reserved("c")
    made.held("c", "2026-09-10T00:00:00Z", "2026-09-10T00:30:00Z", gpus=8)
    made.held("d", "2026-09-12T00:00:00Z", "2026-10-02T00:00:00Z", gpus=8)
    for down, up in (("12T00", "12T01"), ("20T05", "20T08")):
        made.held(
            "d", f"2026-09-{down}:00:00Z", f"2026-09-{up}:00:00Z", gpus=8, kind=EntryKind.DOWNTIME
        )
    made.closed("2026-09", "2026-10-04T00:00:00Z")
    return made


def owed(books: Books, of: Span) -> tuple[Any, ...]:
    """Return what a landlord is owed and owes for a time, but for which line of the ledger it was rated at."""
    seen = [(x.from_ms, x.shares, x.deadline_ms) for x in incidents_of(books, WEST, of, of.to_ms)]
    return (
        cells_of(books, WEST, of, Grid.NONE, of.to_ms),
        extras_of(books, WEST, of, of.to_ms),
        seen,
    )


EDITS: dict[str, dict[str, Any]] = {
    "a phase is smaller": {"phases": [phase(MADE, 32)]},
    "a phase slips": {"phases": [phase("2026-12-01T00:00:00Z", 64)]},
    "a phase that is over goes": {"phases": [phase("2026-10-10T00:00:00Z", 32, "p2")]},
    "a phase has another number": {"phases": [phase(MADE, 64, "p9")]},
    "a phase has another number and size": {"phases": [phase(MADE, 16, "p9")]},
    "a window that is over goes": {"maintenance": []},
    "a window is shorter": {
        "maintenance": [
            {"startTime": "2026-09-20T00:00:00Z", "endTime": "2026-09-20T01:00:00Z", "gpus": 1}
        ]
    },
    "the SLA goes": {"sla": None},
    "the SLA is another": {"sla": SLA | {"graceSeconds": 7_200, "creditPercent": 10}},
    "the minimum goes": {"billing": {"roundUpToSeconds": 60}},
    "the rounding is coarser": {"billing": {"minimumSeconds": 3_600, "roundUpToSeconds": 36_000}},
    "the term ended in the past": {
        "term": {"startTime": MADE, "endTime": "2026-09-05T00:00:00Z"},
    },
}


@pytest.mark.parametrize("mode", ["TakeOrPay", "PayAsYouGo"])
@pytest.mark.parametrize("edit", EDITS)
def test_nothing_before_an_edit_is_otherwise_for_it(edit: str, mode: str):
    made = journal(mode)
    before = owed(made.books(), UP_TO_THE_EDIT)
    assert before[2]
    assert bool(before[1]) == (mode == "PayAsYouGo")

    made.lease("west", when=EDITED, **agreed(mode, **EDITS[edit]))

    assert owed(made.books(), UP_TO_THE_EDIT) == before


def committed(made: Journal, of: Span) -> Fraction:
    """Return how many GPUs were committed on average."""
    cells = cells_of(made.books(), WEST, of, Grid.NONE, NOW)
    quantity = sum(c.gpu_milliseconds for c in cells if c.state is not LeaseState.BEYOND)
    return Fraction(quantity, of.to_ms - of.from_ms)


def after(**edit: Any) -> Journal:
    made = journal()
    made.lease("west", when=EDITED, **agreed(**edit))
    return made


@pytest.mark.parametrize(
    ("edit", "gpus"),
    [
        ("a phase is smaller", 32),
        ("a phase slips", 0),
        ("a phase that is over goes", 32),
        ("the term ended in the past", 0),
    ],
)
def test_from_the_edit_on_it_holds(edit: str, gpus: int):
    made = after(**EDITS[edit])

    assert committed(made, NOVEMBER) == gpus
    assert committed(made, span(EDITED, "2026-10-03T01:00:00Z")) == (
        gpus if "over" not in edit else 0
    )


def test_a_phase_that_is_added_for_the_past_holds_from_its_own_date():
    made = after(phases=[phase(MADE, 64), phase("2026-09-16T00:00:00Z", 32, "p2")])

    assert committed(made, SEPTEMBER) == 48


def test_so_does_a_window_of_maintenance():
    window = {"startTime": "2026-09-12T00:00:00Z", "endTime": "2026-09-12T01:00:00Z"}
    made = journal()
    excused = incidents_of(made.books(), WEST, SEPTEMBER, NOW)[0]
    made.lease("west", when=EDITED, **agreed(maintenance=[*agreed()["maintenance"], window]))

    assert excused not in incidents_of(made.books(), WEST, SEPTEMBER, NOW)
    assert len(incidents_of(made.books(), WEST, SEPTEMBER, NOW)) == 1


def test_a_term_that_is_extended_after_it_ended_has_no_gap():
    made = Journal()
    made.tenant()
    ends = {"term": {"startTime": MADE, "endTime": "2026-09-16T00:00:00Z"}}
    made.lease("west", when=MADE, **agreed(**ends))
    assert committed(made, SEPTEMBER) == 32

    made.lease("west", when=EDITED, **agreed())
    assert committed(made, SEPTEMBER) == 64


def test_an_sla_holds_for_incidents_that_begin_with_it():
    made = Journal()
    made.tenant()
    made.lease("west", when=MADE, **agreed(sla=None))
    made.reserved("c")
    made.begins("c", "2026-09-01T00:00:00Z", gpus=8)
    made.lease("west", when="2026-09-15T00:00:00Z", **agreed())
    for day in (10, 18):
        made.held(
            "c",
            f"2026-09-{day}T00:00:00Z",
            f"2026-09-{day}T04:00:00Z",
            gpus=8,
            kind=EntryKind.DOWNTIME,
        )

    first, second = incidents_of(made.books(), WEST, SEPTEMBER, NOW)
    assert not first.amount
    assert first.deadline_ms is None
    assert second.amount == Fraction("2.35") * 8 * 4


def test_texts_that_older_versions_dated_alike_hold_for_all_time():
    made = journal()
    made.lease("west", when=MADE, **agreed(phases=[phase(MADE, 32)]))

    assert committed(made, SEPTEMBER) == 32


def test_a_text_that_a_clock_ahead_dated_gives_way_to_the_next():
    made = journal()
    made.lease("west", when="2030-01-01T00:00:00Z", **agreed(phases=[phase(MADE, 16)]))
    made.lease("west", when=EDITED, **agreed(phases=[phase(MADE, 32)]))

    assert committed(made, SEPTEMBER) == 64
    assert committed(made, NOVEMBER) == 32


def test_prices_are_added_for_the_past_too_and_names_are_those_of_now():
    dated = [("2026-01-01T00:00:00Z", "2"), ("2026-09-01T00:00:00Z", "3")]
    prices = [{"effectiveTime": when, "perGpuHour": price} for when, price in dated]
    made = after(prices=prices, provider="new")

    cells = cells_of(made.books(), WEST, SEPTEMBER, Grid.NONE, NOW)
    assert {c.price for c in cells} == {3}
    assert made.books().leases[WEST].provider == "new"


STEPS = st.dictionaries(st.integers(0, 40), st.integers(0, 9), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.integers(0, 3), STEPS), min_size=1, max_size=5))
def test_the_commitment_of_any_hour_is_by_the_text_that_held_then_or_a_later_addition(texts):
    made, now, said = Journal(), 0, []
    for days, steps in texts:
        now += 1 + days * 3
        said.append((now, steps))
        phases = [phase_at(hour, gpus) for hour, gpus in steps.items()]
        made.lease("west", when=now * MS_PER_HOUR, **agreed(phases=phases, term={"startTime": 0}))

    for hour in range(45):
        of = Span(at(hour * MS_PER_HOUR), at((hour + 1) * MS_PER_HOUR))
        assert committed(made, of) == expected(said, hour), hour


def phase_at(hour: int, gpus: int) -> dict[str, Any]:
    return {"commitmentId": f"p{hour}", "startTime": hour * MS_PER_HOUR, "gpus": gpus}


def expected(said: list[tuple[int, dict[int, int]]], hour: int) -> int:
    """Return the step that holds in an hour: the latest of those of the text then and of those that were new in a later one."""
    index = max([i for i, (since, _) in enumerate(said) if since <= hour], default=0)
    steps: dict[int, int] = {}
    for before, (since, later) in reversed(
        list(zip(said[index:], said[index + 1 :], strict=False))
    ):
        steps |= {h: g for h, g in later.items() if h not in before[1] and h < since}
    steps |= said[index][1]
    begun = [h for h in steps if h <= hour]
    return steps[max(begun)] if begun else 0
