"""Promises that come to another lease, or become nodes: they get at once what a look at them in the next pass would give."""

from dataclasses import replace

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import ReleaseCause
from sublet.api.times import format_instant
from sublet.book.decisions import Extend, Refuse, Reserve
from sublet.book.inventory import Unfit
from sublet.book.plan import plan
from tests.builders import money
from tests.builders.api import as_class, as_lease, gpu_class, lease
from tests.builders.fleet import after, inventory, nodes, reserve_of, view
from tests.builders.windows import EAST, ahead, at

CHARGED = (as_class(gpu_class(cancellation={"freeBeforeStartSeconds": 86_400, "chargePercent": 50})),)  # fmt: skip


def fleet_of(*, count: int = 2, **ends: float | None):
    """Return leases that end at these hours."""
    found = []
    for name, hour in ends.items():
        each = as_lease(lease(name, committed=16, end=format_instant(at(hour)) if hour else None))
        found.append((each, inventory(each, nodes(each, count))))
    return found


def promised_on(fleet, each: GpuClaim, **fields) -> GpuClaim:
    seen = view([each], fleet, **fields)
    return after(seen, plan(seen)).claims[0]


def lasting(each: GpuClaim, hours: float) -> GpuClaim:
    schedule = each.spec.schedule.model_copy(update={"duration_seconds": int(hours * 3600)})
    return each.model_copy(update={"spec": each.spec.model_copy(update={"schedule": schedule})})


@pytest.mark.parametrize("hour", [20, 30])
def test_it_gets_its_longest_end_at_once(hour):
    """One pass later whoever came in between could have been sold the hours behind the old end."""
    claim = promised_on(fleet_of(west=40), ahead("train", 30, None))
    seen = view([claim], fleet_of(west=30, east=60), now_ms=at(hour))

    made = plan(seen)

    moved = reserve_of(made, claim)
    assert moved.lease_uids == {EAST.metadata.uid}
    assert (moved.until_ms, moved.until_cause) == (at(60), ReleaseCause.LEASE_ENDED)
    assert plan(after(seen, made)).decisions == ()


def test_it_stays_no_longer_than_another_leaves_room():
    """All promises are mended before any of them is let stay longer."""
    first = promised_on(fleet_of(west=40), ahead("first", 30, None))
    second = promised_on(fleet_of(west=60), ahead("second", 50, 5))
    seen = view([first, second], fleet_of(west=30, east=60), now_ms=at(20))

    made = plan(seen)

    assert [(d.lease_uids, d.until_ms) for d in made.decisions if isinstance(d, Reserve)] == [
        ({EAST.metadata.uid}, at(50)),
        ({EAST.metadata.uid}, at(55)),
    ]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_hours_of_a_promise_whose_lease_ends_sooner_are_kept_for_it_as_far_as_the_lease_goes(names):
    mover = promised_on(fleet_of(west=14, count=1), ahead(names[0], 4, None, gpus=8))
    stays = promised_on(fleet_of(east=None, count=1), ahead(names[1], 16, None, gpus=8))
    newcomer = ahead("newcomer", 17, 2, gpus=8)
    seen = view([mover, stays, newcomer], fleet_of(west=3, east=20, count=1), now_ms=at(1))

    made = plan(seen)

    assert reserve_of(made, mover).until_ms == at(16)
    (shorter,) = [d for d in made.decisions if isinstance(d, Extend)]
    assert (shorter.claim_uid, shorter.until_ms) == (stays.metadata.uid, at(20))
    assert [d.claim_uid for d in made.decisions if isinstance(d, Refuse)] == [newcomer.metadata.uid]


@pytest.mark.parametrize(("west", "hour"), [(42, 30), (30, 35), (42, 40), (30, 40)])
def test_hours_that_it_gives_up_meanwhile_are_charged(west, hour):
    claim = promised_on(fleet_of(west=100), ahead("train", 40, 10), classes=CHARGED)
    fleet = fleet_of(west=west, east=100)
    seen = view([lasting(claim, 5)], fleet, now_ms=at(hour), classes=CHARGED)

    made = plan(seen)

    moved = reserve_of(made, claim)
    charged = [(g.gpus, g.from_time, g.until_time, g.sequence) for g in moved.given_up]
    assert moved.until_ms == at(45)
    assert charged == [(16, at(45), at(50), moved.sequence)]
    assert plan(after(seen, made)).decisions == ()


@pytest.mark.parametrize("hour", [20, 40])
def test_a_longer_window_that_it_asks_for_meanwhile_is_agreed_as_a_whole(hour):
    claim = promised_on(fleet_of(west=100), ahead("train", 40, 10), classes=CHARGED)
    fleet = fleet_of(west=42, east=100)
    moved = reserve_of(
        plan(view([lasting(claim, 15)], fleet, now_ms=at(hour), classes=CHARGED)), claim
    )

    assert moved.until_ms == at(55)
    assert moved.cancellation is not None
    assert moved.cancellation.until_time == at(55)


def test_money_that_it_was_promised_with_is_not_asked_for_again():
    """A window cut short at its handing over, and let stay after all, costs no more than it did."""
    funds = {"classes": money.CLASSES, "tenants": (money.payer("160"),), "accounts": money.account()}  # fmt: skip
    claim = promised_on(fleet_of(west=100), ahead("train", 40, 10), **funds)  # for 160 USD
    other = promised_on(fleet_of(east=100), ahead("other", 45, 10), classes=money.CLASSES)
    few = [*fleet_of(west=41, count=1), *fleet_of(east=100)]
    seen = view([claim, other], few, now_ms=at(40), **funds)

    assert reserve_of(plan(seen), claim).until_ms == at(45)


def test_it_ends_for_want_of_money_only_where_that_moves_its_end():
    """The cause decides what becomes of it when its lease ends sooner."""
    funds = {"classes": money.CLASSES, "tenants": (money.payer("160"),), "accounts": money.account()}  # fmt: skip
    claim = promised_on(fleet_of(west=40), ahead("train", 30, None), **funds)  # for all there is
    fleet = fleet_of(west=30, east=60)

    moved = reserve_of(plan(view([claim], fleet, now_ms=at(20), **funds)), claim)

    assert (moved.until_ms, moved.until_cause) == (at(40), ReleaseCause.LEASE_ENDED)


def test_the_room_that_it_leaves_is_sold_once():
    """Its room on a lease that could keep it was let go twice, once it had moved."""

    def fleet(*, sick: bool):
        found = []
        for name, count in (("west", 1), ("east", 3), ("south", 4)):
            each = as_lease(lease(name, committed=8 * count))
            unfit = Unfit.UNHEALTHY if sick and name == "east" else None
            states = [replace(n, unfit=unfit) for n in nodes(each, count)]
            found.append((each, inventory(each, states)))
        return found

    train = promised_on(fleet(sick=False)[:2], ahead("train", 4, 2, gpus=32))
    here = {"placement": {"leases": {"allow": ["west"]}}}
    newcomers = [ahead(name, 4, 2, gpus=8, **here) for name in ("a", "b")]

    made = plan(view([train, *newcomers], fleet(sick=True)))

    sold = {b.lease: b.nodes for d in made.decisions if isinstance(d, Reserve) for b in d.bookings}
    assert sold == {"south": 4, "west": 1}
    assert len([d for d in made.decisions if isinstance(d, Reserve)]) == 2
