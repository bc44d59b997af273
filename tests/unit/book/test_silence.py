"""Claims whose cluster doesn't answer: told after a minute and an hour, never taken, and the time is disputed."""

from dataclasses import replace

import pytest

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Access, ClusterAccess
from sublet.api.outage import MOST_OUTAGES
from sublet.api.times import Millis
from sublet.book.decisions import Silence
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, claim
from tests.builders.edges import edges_of
from tests.builders.fleet import after, reserve_of, view
from tests.builders.moves import CLASSES, leased, running

MINUTE, HOUR = 60_000, 3_600_000


def silent(pair, since_ms: Millis = NOW):
    each, found = pair
    status = each.status.model_copy(update={"last_seen_time": since_ms})
    return each.model_copy(update={"status": status}), replace(found, reach=Reach.UNKNOWN)


def at_(seen, ms: int):
    return replace(seen, now_ms=Millis(NOW + ms))


def told(seen) -> list[Silence]:
    return [d for d in plan(seen).decisions if isinstance(d, Silence)]


def kinds(each) -> list[tuple[str, str, int]]:
    return [(f.kind.value, f.type.value, f.at_ms - NOW) for f in edges_of(each)]


def test_a_hiccup_is_not_told_and_the_book_looks_again_when_it_would_be():
    seen = view([running(leased("west"))], [silent(leased("west"))])

    assert told(at_(seen, MINUTE - 1)) == []
    assert plan(seen).next_due_ms == NOW + MINUTE


def test_after_a_minute_the_claim_says_since_when_and_stays_bound():
    seen = at_(view([running(leased("west"))], [silent(leased("west"))]), MINUTE)

    (train,) = after(seen, plan(seen)).claims

    said = find_condition(train.status.conditions, "Reachable")
    assert (said.status, said.reason) == ("Unknown", "Unreachable")
    assert "west hasn't been reachable since 2026-11-22T10:00:00Z" in said.message
    assert is_true(train.status.conditions, "Bound")
    assert is_true(train.status.conditions, "Ready")
    assert kinds(train) == [("bound", "open", 0), ("disputed", "open", 0)]


def test_it_is_said_once_and_again_after_an_hour_and_nothing_is_taken_ever():
    seen = at_(view([running(leased("west"))], [silent(leased("west"))]), MINUTE)
    seen = after(seen, plan(seen))

    assert plan(seen).decisions == ()
    assert plan(seen).next_due_ms == NOW + HOUR
    seen = at_(seen, HOUR)
    (again,) = told(seen)
    assert again.reason == "UnreachableFor1Hour"
    seen = after(seen, plan(seen))
    for days in (1, 30, 3_000):
        assert plan(at_(seen, days * 24 * HOUR)).decisions == ()


def test_when_it_answers_again_the_disputed_time_ends():
    seen = at_(view([running(leased("west"))], [silent(leased("west"))]), MINUTE)
    seen = after(seen, plan(seen))
    west, found = leased("west")
    seen = at_(replace(seen, leases=(west,), inventories={west.metadata.uid: found}), 2 * MINUTE)

    (train,) = after(seen, plan(seen)).claims

    assert is_true(train.status.conditions, "Reachable")
    assert kinds(train)[1:] == [("disputed", "open", 0), ("disputed", "close", 2 * MINUTE)]
    assert plan(replace(seen, claims=(train,))).decisions == ()


def test_a_second_silence_is_a_second_disputed_time():
    seen = at_(view([running(leased("west"))], [silent(leased("west"))]), MINUTE)
    for fleet, ms in ((leased("west"), 2 * MINUTE), (silent(leased("west"), NOW + HOUR), 2 * HOUR)):
        seen = after(seen, plan(seen))
        west, found = fleet
        seen = replace(seen, leases=(west,), inventories={west.metadata.uid: found})
        seen = at_(seen, ms)
    (train,) = after(seen, plan(seen)).claims

    disputed = [(type_, at) for kind, type_, at in kinds(train) if kind == "disputed"]
    assert disputed == [("open", 0), ("close", 2 * MINUTE), ("open", HOUR)]


@pytest.mark.parametrize(("before_ms", "words"), [(30 * MINUTE, "ends at"), (-1, "ended at")])
def test_access_that_is_about_to_end_is_said(before_ms: int, words: str):
    train = running(leased("west"))
    expires = Millis(NOW + MINUTE + before_ms)
    access = Access(
        secret_name="s",
        clusters=(ClusterAccess(alias="west", namespace="n", expiration_time=expires),),
    )
    train = train.model_copy(update={"status": train.status.model_copy(update={"access": access})})

    (said,) = told(at_(view([train], [silent(leased("west"))]), MINUTE))
    assert f"access there {words}" in said.message


def test_new_claims_go_elsewhere_meanwhile():
    seen = view([as_claim(claim("next"))], [silent(leased("west")), leased("east")])

    found = reserve_of(plan(seen), seen.claims[0])
    assert found.lease_uids == {leased("east")[0].metadata.uid}


def disputed_of(each) -> list[tuple[str, int]]:
    return [(type_, at) for kind, type_, at in kinds(each) if kind == "disputed"]


def test_a_clock_that_is_set_back_is_no_answer_and_the_disputed_time_goes_on():
    seen = at_(view([running(leased("west"))], [silent(leased("west"))]), MINUTE)
    seen = after(seen, plan(seen))

    (behind,) = after(at_(seen, -HOUR), plan(at_(seen, -HOUR))).claims

    assert find_condition(behind.status.conditions, "Reachable").status == "Unknown"
    assert disputed_of(behind) == [("open", 0)]


def test_a_lease_that_is_not_there_is_no_answer_of_its_cluster():
    seen = at_(view([running(leased("west"))], [silent(leased("west"))]), MINUTE)
    seen = after(seen, plan(seen))

    gone = replace(at_(seen, HOUR), leases=(), inventories={})
    (train,) = after(gone, plan(gone)).claims

    assert disputed_of(train) == disputed_of(seen.claims[0]) == [("open", 0)]


def test_no_instant_is_disputed_twice_though_an_answer_was_seen_late():
    west = leased("west")
    seen = at_(view([running(west)], [silent(west)]), MINUTE)
    for fleet, ms in ((west, 3 * MINUTE), (silent(west, NOW + 2 * MINUTE), 4 * MINUTE)):
        seen = after(seen, plan(seen))
        seen = at_(replace(seen, leases=(fleet[0],)), ms)
    (train,) = after(seen, plan(seen)).claims

    assert disputed_of(train) == [("open", 0), ("close", 3 * MINUTE), ("open", 3 * MINUTE + 1)]


def test_a_silence_that_ended_by_a_clock_set_back_shares_no_line_with_the_next():
    west = leased("west")
    seen = at_(view([running(west)], [silent(west)]), MINUTE)
    for fleet, ms in ((west, -MINUTE), (silent(west), MINUTE)):
        seen = after(seen, plan(seen))
        seen = at_(replace(seen, leases=(fleet[0],)), ms)
    (train,) = after(seen, plan(seen)).claims

    assert disputed_of(train) == [("open", 0), ("close", 0), ("open", 1)]


def full_of_outages():
    """Return a view in which west is silent again, and its claim's list is full: one that lasts, and old ones."""
    west, east = leased("west"), leased("east")
    train = running(west)
    seen = at_(view([train], [silent(west)]), MINUTE)
    (train,) = after(seen, plan(seen)).claims
    (like,) = train.status.outages
    lasting = like.model_copy(update={"lease_uid": east[0].metadata.uid})
    over = [
        like.model_copy(update={"from_time": NOW - at, "until_time": NOW - at + 1})
        for at in range(MOST_OUTAGES, 1, -1)
    ]
    status = train.status.model_copy(update={"outages": (lasting, *over)})
    return replace(seen, claims=(train.model_copy(update={"status": status}),))


def test_of_many_outages_the_oldest_that_is_over_goes_and_never_one_that_lasts():
    seen = full_of_outages()
    (lasting, _, *others) = seen.claims[0].status.outages

    (said,) = told(seen)

    assert said.outages[:-1] == (lasting, *others)
    assert said.outages[-1].until_time is None


def test_until_the_ledger_has_all_lines_no_outage_goes():
    seen = full_of_outages()

    (said,) = told(seen)

    assert said.unsettled == seen.claims[0].status.outages


def test_a_claim_whose_lease_isnt_there_is_told_and_stays_bound_until_it_is_again():
    gone = at_(view([running(leased("west"))], []), HOUR)

    seen = after(gone, plan(gone))

    said = find_condition(seen.claims[0].status.conditions, "Reachable")
    assert (said.status, said.reason) == ("Unknown", "LeaseMissing")
    assert "the GpuLease of west isn't on the hub, or can't be read" in said.message
    assert is_true(seen.claims[0].status.conditions, "Bound")
    assert (plan(seen).decisions, disputed_of(seen.claims[0])) == ((), [])
    west, found = leased("west")
    seen = replace(seen, leases=(west,), inventories={west.metadata.uid: found})
    (train,) = after(seen, plan(seen)).claims
    assert is_true(train.status.conditions, "Reachable")


def test_a_claim_with_nodes_ready_on_a_lease_that_isnt_there_is_told_too():
    west, east = leased("west", 40), leased("east")
    seen = at_(view([running(west, end=40)], [west, east], classes=CLASSES), 20 * HOUR)
    seen = after(seen, plan(seen))
    assert told(seen) == []

    (said,) = told(replace(seen, leases=(west[0],), inventories={west[0].metadata.uid: west[1]}))

    assert said.reason == "LeaseMissing"
    assert "the GpuLease of east isn't on the hub" in said.message
