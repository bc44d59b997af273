"""What giving up a window that was promised ahead costs: by whose will, when, how much, and never twice."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from sublet.api import claim_status
from sublet.api.cancellation import Cancellation, CancellationTerms, GivenUp
from sublet.api.gpuclaim import GpuClaim, Schedule
from sublet.api.relocation import ReleaseCause
from sublet.api.times import MS_PER_HOUR, format_instant
from sublet.book.balance import balance
from sublet.book.cancellation import MAX_ENTRIES
from sublet.book.coverage import coverage
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.hub.meter import facts_of, needs_meter, texts_of
from sublet.ledger.entry import EntryKind, Fact
from sublet.ledger.interval import intervals
from sublet.ledger.terms import parse_price
from sublet.ledger.usage import By, usage
from tests.builders.api import NOW, as_class, as_lease, gpu_class, lease
from tests.builders.fleet import after, view
from tests.builders.histories import histories, passes
from tests.builders.sales import bound
from tests.builders.windows import WEST, ahead, at, west
from tests.unit.book.test_histories import UNTIMED

CLASS = as_class(gpu_class(cancellation={"freeBeforeStartSeconds": 3600, "chargePercent": 50}))
START, LASTS = 4, 8


def world(lasts: float | None = LASTS) -> View:
    """Return a promise of 16 GPUs from hour 4 to hour 12, free to give up until hour 3."""
    first = view([ahead("train", START, lasts)], west(), classes=(CLASS,))
    return after(first, plan(first))


def asks(seen: View, hour: float, *, delete: bool = False, **spec) -> View:
    """Return what is seen at an hour once the claim was changed or deleted then, carried out."""
    (each,) = seen.claims
    if "hours" in spec:
        lasts = spec.pop("hours")
        spec["schedule"] = Schedule(
            start_time=each.spec.schedule.start_time,
            duration_seconds=round(lasts * 3600) if lasts is not None else None,
        )
    gone = {"deletion_timestamp": at(hour)} if delete else {}
    each = each.model_copy(
        update={
            "spec": each.spec.model_copy(update=spec),
            "metadata": each.metadata.model_copy(update=gone),
        }
    )
    now = replace(seen, claims=(each,), now_ms=at(hour))
    return after(now, plan(now))


def charged(seen: View) -> list[tuple[float, float, int]]:
    """Return (from hour, until hour, GPUs) of what was given up."""
    (each,) = seen.claims
    assert each.status.allocation is not None
    return [
        ((g.from_time - NOW) / MS_PER_HOUR, (g.until_time - NOW) / MS_PER_HOUR, g.gpus)
        for g in each.status.allocation.given_up
    ]


def the_bill(each: GpuClaim) -> dict[str, Decimal]:
    """Return the charges of a claim's lines, and check that they are well formed."""
    texts = texts_of(each)
    prices = {h: parse_price(t) for h, t in texts.items() if '"perGpuHour"' in t}
    held = list(intervals(facts_of(each)))
    lines = usage(held, prices, by=By.CLAIM, from_ms=NOW, to_ms=at(1_000))
    return {line.kind.value: line.charges.get("USD", Decimal(0)) for line in lines}


def test_until_the_free_time_is_over_it_costs_nothing():
    assert charged(asks(world(), START - 1, delete=True)) == []
    assert charged(asks(world(), START - 1, suspended=True)) == []
    assert charged(asks(world(), START - 1, hours=2)) == []


@pytest.mark.parametrize("way", [{"delete": True}, {"suspended": True}])
def test_later_all_of_it_is_charged_at_the_classs_part_of_the_price(way):
    given = asks(world(), START - 0.9, **way)

    assert charged(given) == [(4, 12, 16)]
    (each,) = given.claims
    assert needs_meter(each)
    assert the_bill(each)["cancelled"] == Decimal(16 * 8) * Decimal("3.99") / 2


def test_the_lines_are_the_same_each_time_and_name_the_lease():
    (each,) = asks(world(), 3.5, delete=True).claims

    (opened, closed) = facts_of(each)[-2:]
    assert facts_of(each) == facts_of(each)
    assert (opened.kind, opened.lease_uid, opened.gpus) == (EntryKind.CANCELLED, WEST.metadata.uid, 16)  # fmt: skip
    assert (opened.at_ms, closed.at_ms) == (at(4), at(12))


def test_shortening_late_charges_what_is_cut_off():
    assert charged(asks(world(), 3.5, hours=5)) == [(9, 12, 16)]


def test_no_hour_is_charged_twice_however_often_the_mind_changes():
    seen = asks(world(), 3.2, hours=5)
    for hours in (8, 3, None, 2):
        seen = asks(seen, 3.5, hours=hours)
    seen = asks(seen, 3.6, delete=True)

    spans = sorted(charged(seen))
    assert spans[0][0] == 4
    assert all(before[1] <= begin[0] for before, begin in pairwise(spans))
    assert sum(end - begin for begin, end, _ in spans) == 8
    assert the_bill(seen.claims[0])["cancelled"] == Decimal(16 * 8) * Decimal("3.99") / 2


def test_who_takes_the_duration_off_and_leaves_is_charged_what_was_agreed():
    seen = asks(world(), 3.2, hours=None)

    assert charged(asks(seen, 3.5, delete=True)) == [(4, 12, 16)]


def test_whoever_prolonged_and_shortened_without_end_can_still_be_released():
    seen, lasts = world(40), 40
    (each,) = seen.claims
    held = each.status.allocation
    stripes = tuple(
        GivenUp(sequence=1, lease_uid=WEST.metadata.uid, gpus=16, from_time=begin, until_time=begin + 60_000)
        for begin in range(at(START), at(START) + 506 * 120_000, 120_000)
    )  # fmt: skip
    status = {"allocation": held.model_copy(update={"given_up": stripes})}
    each = each.model_copy(update={"status": each.status.model_copy(update=status)})
    seen = replace(seen, claims=(each,))
    for _ in range(12):
        for more in (3, -2):
            lasts += more
            seen = asks(seen, 3.5, hours=lasts)
    seen = asks(seen, 3.6, delete=True)

    assert MAX_ENTRIES - 4 <= len(charged(seen)) <= MAX_ENTRIES
    spans = sorted(charged(seen))
    assert all(before[1] == begin[0] for before, begin in pairwise(spans))


def test_who_takes_the_duration_off_asks_for_no_longer_time_by_the_classs_longest():
    longest = CLASS.spec.model_copy(update={"max_duration_seconds": 48 * 3600})
    seen = replace(world(), classes=(CLASS.model_copy(update={"spec": longest}),))
    seen = asks(seen, 3.2, hours=None)
    assert seen.claims[0].status.allocation.until_time == at(START + 48)

    assert charged(asks(seen, 3.5, delete=True)) == [(4, 12, 16)]


def test_a_longer_time_that_the_pool_gave_in_part_is_given_up_for_what_it_gave():
    window = {"startTime": format_instant(at(14)), "endTime": format_instant(at(15))}
    spec = as_lease(lease("west", committed=16, maintenance=[window])).spec
    seen = replace(world(), leases=(WEST.model_copy(update={"spec": spec}),))
    seen = asks(seen, 3.2, hours=12)
    assert seen.claims[0].status.allocation.until_time == at(14)

    assert charged(asks(seen, 3.5, delete=True)) == [(4, 14, 16)]


def test_while_it_runs_the_rest_is_charged_and_what_ran_is_billed():
    begun = asks(world(), START)
    running = replace(begun, claims=(bound(begun.claims[0], at(START)),))

    given = asks(running, 6, delete=True)

    assert charged(given) == [(6, 12, 16)]
    bill = the_bill(given.claims[0])
    assert bill["bound"] == Decimal(16 * 2) * Decimal("3.99")
    assert bill["cancelled"] == Decimal(16 * 6) * Decimal("3.99") / 2


def test_a_window_that_runs_to_its_end_is_charged_nothing_more():
    begun = asks(world(), START)
    running = replace(begun, claims=(bound(begun.claims[0], at(START)),))

    assert charged(asks(running, 12)) == []


def test_what_the_pool_is_late_with_is_given_up_for_nothing():
    seen = world()
    (each,) = seen.claims
    told = each.model_copy(update={"status": claim_status.late(each, "too few", NOW)})

    assert charged(asks(replace(seen, claims=(told,)), 3.5, delete=True)) == []
    unbound = asks(seen, START)
    assert charged(asks(unbound, START + 1, delete=True)) == []


def test_the_deal_is_that_of_the_reservation():
    seen = world()
    dearer = CLASS.spec.model_copy(
        update={"cancellation": Cancellation(free_before_start_seconds=0, charge_percent=100)}
    )
    changed = replace(seen, classes=(CLASS.model_copy(update={"spec": dearer}),))

    (each,) = asks(changed, 3.5, delete=True).claims
    assert the_bill(each)["cancelled"] == Decimal(16 * 8) * Decimal("3.99") / 2


def test_without_a_duration_nothing_is_agreed_that_could_be_given_up():
    seen = world(lasts=None)

    assert seen.claims[0].status.allocation.cancellation is None
    assert charged(asks(seen, 3.5, delete=True)) == []


def test_what_the_lease_cut_off_isnt_the_tenants_to_give_up():
    seen = world()
    term = WEST.spec.term.model_copy(update={"end_time": at(10)})
    short = WEST.model_copy(update={"spec": WEST.spec.model_copy(update={"term": term})})
    (each,) = seen.claims
    cut = claim_status.extended(each, at(10), ReleaseCause.LEASE_ENDED, NOW)
    now = replace(seen, leases=(short,), claims=(each.model_copy(update={"status": cut}),))

    assert charged(asks(now, 3.5, delete=True)) == [(4, 10, 16)]


def test_the_charge_is_kept_when_the_promise_becomes_nodes():
    begun = asks(asks(world(), 3.5, hours=5), START)

    (each,) = begun.claims
    assert each.status.allocation.placements
    assert charged(begun) == [(9, 12, 16)]
    assert {f.sequence for f in facts_of(each) if f.kind is EntryKind.CANCELLED} == {1}


def test_coverage_and_balance_have_it_as_revenue_and_nothing_as_used():
    given = asks(world(), 3.5, delete=True)
    (each,) = given.claims
    done = each.model_copy(update={"status": claim_status.released(each, at(3.5))})
    given = replace(given, claims=(done,))

    (line,) = coverage(given, at(5))
    assert (line.used, line.trade.revenue) == (0, {"USD": Decimal(16) * Decimal("3.99") / 2})
    assert line.trade.break_even is None
    (whole,) = balance(given, NOW, at(24))
    assert whole.trade.revenue == {"USD": Decimal(16 * 8) * Decimal("3.99") / 2}
    assert whole.used_gpu_milliseconds == 0


def test_the_price_of_a_part_is_exact():
    agreed = CancellationTerms(free_before_start_seconds=0, charge_percent=33, until_time=NOW)
    assert agreed.price(Decimal("0.000001")) == Decimal("0.00000033")


@settings(UNTIMED, max_examples=80)
@given(histories())
def test_whatever_happens_the_lines_agree_and_are_well_formed(history):
    written: dict[str, Fact] = {}
    for before, made in passes(history):
        for each in after(before, made).claims:
            for fact in facts_of(each):
                assert written.setdefault(fact.id, fact).content == fact.content
    assert all(i.start_ms <= (i.end_ms or i.start_ms) for i in intervals(written.values()))


minds = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 2.5]), st.none() | st.integers(1, 14)), max_size=7
)


@settings(UNTIMED, max_examples=60)
@given(minds, st.booleans())
def test_however_often_the_mind_changes_each_hour_is_charged_once_and_the_lines_stand(
    changes, leaves
):
    seen, hour = world(), 0.5
    written: dict[str, Fact] = {}
    for waits, lasts in changes:
        hour += waits
        seen = asks(seen, min(hour, 3.9), hours=lasts)
        for fact in facts_of(seen.claims[0]):
            assert written.setdefault(fact.id, fact).content == fact.content
    if leaves:
        seen = asks(seen, 3.95, delete=True)
    spans = sorted(charged(seen))
    assert all(before[1] <= begin[0] for before, begin in pairwise(spans))
    lines = facts_of(seen.claims[0])
    owed = sum(i.gpus * ((i.end_ms or 0) - i.start_ms) for i in intervals(lines) if i.kind is EntryKind.CANCELLED)  # fmt: skip
    assert owed == sum(16 * (end - begin) * MS_PER_HOUR for begin, end, _ in spans)
    assert {f.id for f in lines} >= set(written)
