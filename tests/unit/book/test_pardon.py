"""Notices that nobody needs any more are taken back, and none that somebody does."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api import bound_status, claim_status, move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import Access
from sublet.api.ids import LeaseUID
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.backfill import SHADOWS
from sublet.book.decisions import Extend, Notice, Reserve, Take
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import (
    LONG_AGO,
    NOW,
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    gpu_class,
    lease,
    tenant,
)
from tests.builders.fleet import after, bound, held, inventory, nodes, refusal_of, view
from tests.builders.money import account
from tests.builders.windows import ahead, at

NOTICE_MS = 600_000
WEST = as_lease(lease("west", committed=64))
CLASSES = (
    as_class(),
    as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=NOTICE_MS // 1_000)),
)


def asking(
    name: str,
    priority: str,
    hours: int | None = 8,
    class_name: str = "h100",
    gpus: int = 8,
    **spec: Any,
):
    schedule = {"durationSeconds": hours * 3600} if hours is not None else {}
    spec |= {"priorityClassName": priority, "schedule": schedule}
    return as_claim(claim(name, gpus=gpus, class_name=class_name, **spec))


def told(*others, hours: int | None = 8, needs: int = 8) -> View:
    """Return a victim whose notice runs for a claim that waits, beside others that wait."""
    seen = view(
        [asking("victim", "low", hours, "spot")],
        [(WEST, inventory(WEST, nodes(WEST, 1)))],
        classes=CLASSES,
        tenants=(as_tenant(tenant(priorityClasses=["low", "high"])),),
        priorities={"low": 0, "high": 10},
    )
    seen = after(seen, plan(seen))
    seen = replace(seen, claims=(*seen.claims, asking("urgent", "high", needs), *others))
    seen = after(seen, plan(seen), now_ms=Millis(NOW + 60_000))
    allocation = seen.claims[0].status.allocation
    assert allocation is not None
    assert allocation.until_cause is ReleaseCause.PREEMPTED
    return seen


def without(seen: View, name: str) -> View:
    return replace(seen, claims=tuple(c for c in seen.claims if c.metadata.name != name))


def ends(seen: View) -> list[tuple[int | None, ReleaseCause | None]]:
    uid = seen.claims[0].metadata.uid
    return [
        (d.until_ms, d.until_cause)
        for d in plan(seen).decisions
        if isinstance(d, Extend) and d.claim_uid == uid
    ]


@pytest.mark.parametrize("hours", [8, None])
def test_a_victim_keeps_its_gpus_once_the_claim_it_gave_way_to_is_gone(hours):
    seen = without(told(hours=hours), "urgent")

    assert ends(seen) == [(at(8), ReleaseCause.COMPLETED) if hours else (None, None)]
    rest = after(seen, plan(seen))
    assert ends(rest) == []


def test_a_suspended_claim_needs_no_victim():
    seen = told()
    urgent = seen.claims[1]
    spec = urgent.spec.model_copy(update={"suspended": True})
    quote = urgent.model_copy(update={"spec": spec})

    assert ends(replace(seen, claims=(seen.claims[0], quote))) == [(at(8), ReleaseCause.COMPLETED)]


def test_a_claim_that_is_served_elsewhere_needs_no_victim():
    seen = told()
    more = inventory(WEST, nodes(WEST, 2))
    seen = replace(seen, inventories={LeaseUID(WEST.metadata.uid): more})

    made = plan(seen).decisions
    assert [d.claim_uid for d in made if isinstance(d, Reserve)] == [seen.claims[1].metadata.uid]
    assert ends(seen) == [(at(8), ReleaseCause.COMPLETED)]


def test_a_notice_that_is_needed_stays():
    assert ends(told()) == []


def test_claims_of_no_higher_priority_take_nobodys_pardon():
    waits = asking("waits", "low", 2)
    seen = told(waits)

    assert ends(seen) == []
    assert ends(without(seen, "urgent")) == [(at(8), ReleaseCause.COMPLETED)]


def test_a_notice_stays_while_somebody_of_higher_priority_sees_no_start():
    large = asking("large", "high", gpus=64)

    assert ends(without(told(large), "urgent")) == []


def test_a_victim_that_work_is_under_way_for_waits_for_its_pardon():
    seen = without(told(), "urgent")

    assert ends(replace(seen, busy=frozenset({seen.claims[0].metadata.uid}))) == []


def test_a_notice_that_is_over_ends_the_claim():
    seen = replace(without(told(), "urgent"), now_ms=Millis(NOW + NOTICE_MS))

    assert [type(d) for d in plan(seen).decisions] == [Take]


def test_whoever_was_told_of_the_notice_is_told_that_it_is_over():
    seen = told()
    uid = seen.claims[0].metadata.uid
    access = Access(secret_name="s", clusters=())
    bound = claim_status.bound(seen.claims[0], NOW, access, seen.now_ms)
    warned = bound_status.expiring(
        seen.claims[0].model_copy(update={"status": bound}), "Preempted", "soon", seen.now_ms
    )
    victim = seen.claims[0].model_copy(update={"status": warned})
    seen = replace(seen, claims=(victim,))
    rest = after(seen, plan(seen))

    (news,) = [d for d in plan(rest).decisions if isinstance(d, Notice)]
    assert (news.claim_uid, news.reason, news.message) == (uid, "NotExpiring", "")


def test_claims_that_room_doesnt_help_take_nobodys_pardon_however_many_wait():
    limit = as_tenant(
        tenant(priorityClasses=["low", "high"], quotas=[{"className": "h100", "gpus": 0}])
    )
    many = [asking(f"many{i}", "high") for i in range(SHADOWS + 8)]
    seen = replace(without(told(), "urgent"), tenants=(limit,))

    crowded = replace(seen, claims=(*seen.claims, *many))

    assert ends(crowded) == [(at(8), ReleaseCause.COMPLETED)]


def test_a_notice_that_is_taken_back_in_part_is_still_one_and_its_claim_waits_again():
    window = {"startTime": format_instant(at(4)), "durationSeconds": 3600}
    seen = told(as_claim(claim("window", gpus=8, schedule=window)), hours=None, needs=1)
    seen = without(seen, "urgent")

    assert ends(seen) == [(at(4), ReleaseCause.PREEMPTED)]
    then = after(seen, plan(seen))
    assert ends(then) == []
    assert ends(without(then, "window")) == [(None, None)]
    (over,) = [d for d in plan(replace(then, now_ms=at(4))).decisions if isinstance(d, Take)]
    assert over.cause is ReleaseCause.PREEMPTED


PRICE = CLASSES[1].spec.prices[0].per_gpu_hour
MONTHLY = {"currency": "USD", "period": "Month"}


@pytest.mark.parametrize(
    ("means", "hours"),
    [
        ({"quotas": [{"className": "spot", "gpus": 16}]}, 1),
        ({"budget": {"amount": str(8 * PRICE * (2 + 8 + 8)), **MONTHLY}}, 2),
    ],
    ids=["quota", "budget"],
)
def test_a_notice_is_taken_back_as_far_as_means_go_beside_starts_that_are_kept(means, hours):
    acme = as_tenant(tenant(priorityClasses=["low", "high"], **means))
    east = as_lease(lease("east", committed=64))
    fleet = inventory(east, nodes(east, 2))
    busy = [
        held(asking(f"busy{i}", "low", 1), east, [node], until_ms=at(1), tenant_name="globex")
        for i, node in enumerate(fleet.nodes.values())
    ]
    elsewhere = {"leases": {"deny": [WEST.spec.tenant_alias]}}
    waiting = [asking(f"waits{i}", "high", 8, "spot", placement=elsewhere) for i in range(2)]
    seen = without(told(*waiting), "urgent")
    seen = replace(
        seen,
        claims=(*seen.claims, *busy),
        leases=(WEST, east),
        inventories={**seen.inventories, LeaseUID(east.metadata.uid): fleet},
        tenants=(acme,),
        accounts=account(of=acme) if "budget" in means else {},
    )

    assert ends(seen) == [(at(hours), ReleaseCause.PREEMPTED)]
    then = after(seen, plan(seen))
    assert ends(then) == []
    assert [refusal_of(plan(then), each).estimated_ms for each in waiting] == [at(1)] * 2


def with_maintenance(gpus: int | None, committed: int = 8) -> View:
    """Return a victim whose notice runs for nobody, on a lease that maintenance takes so many GPUs of, or all."""
    times = {"startTime": format_instant(at(4)), "endTime": format_instant(at(6))}
    window = times if gpus is None else {**times, "gpus": gpus}
    west = as_lease(lease("west", committed=committed, maintenance=[window]))
    found = {LeaseUID(west.metadata.uid): inventory(west, nodes(west, committed // 8))}
    return replace(without(told(hours=None), "urgent"), leases=(west,), inventories=found)


@pytest.mark.parametrize("gpus", [None, 4], ids=["all", "a part"])
def test_one_that_is_let_off_until_maintenance_ends_by_that(gpus):
    seen = with_maintenance(gpus)

    assert ends(seen) == [(at(4), ReleaseCause.MAINTENANCE)]
    assert ends(after(seen, plan(seen))) == []


def test_one_that_is_let_off_until_its_lease_commits_to_less_ends_with_its_lease():
    steps = ((LONG_AGO, 8), (format_instant(at(4)), 0))
    phases = [{"commitmentId": str(n), "startTime": at_, "gpus": n} for at_, n in steps]
    west = as_lease(lease("west", commitment={"mode": "TakeOrPay", "phases": phases}))
    seen = replace(without(told(hours=None), "urgent"), leases=(west,))

    assert ends(seen) == [(at(4), ReleaseCause.LEASE_ENDED)]
    assert ends(after(seen, plan(seen))) == []


def test_maintenance_hides_nobody_who_needs_what_it_leaves():
    seen = with_maintenance(gpus=8, committed=16)
    window = ahead("window", 5, 1, gpus=8, priorityClassName="high")

    assert ends(seen) == [(None, None)]
    assert ends(replace(seen, claims=(*seen.claims, window))) == [(at(5), ReleaseCause.PREEMPTED)]


def test_a_notice_for_a_start_that_comes_later_than_it_ends_is_given_once():
    """Half the commitment is let for an hour: until then the victim is in nobody's way."""
    west = as_lease(lease("west", committed=8, term={"quarantineSeconds": 3600}))
    first, second = nodes(west, 2)
    victim = held(asking("victim", "low", None, "spot", 4), west, [first], gpus=4)
    other = held(asking("other", "high", 1, gpus=4), west, [first], gpus=4, until_ms=at(1))
    seen = replace(
        told(), claims=(victim, other, asking("urgent", "high")), leases=(west,), now_ms=NOW
    )
    seen = replace(
        seen, inventories={LeaseUID(west.metadata.uid): inventory(west, [first, second])}
    )
    found: list[tuple[int | None, ReleaseCause | None]] = []
    for _ in range(4):
        found += ends(seen)
        seen = after(seen, plan(seen))

    assert found == [
        (NOW + NOTICE_MS, ReleaseCause.PREEMPTED),
        (at(1), ReleaseCause.PREEMPTED),
    ]


def standing_in() -> View:
    """Return a victim whose notice runs and whose failed node is to be replaced by the lease's other one."""
    old, new = nodes(WEST, 2)
    asks = asking("victim", "low", None, "spot")
    until = {"until_ms": Millis(NOW + NOTICE_MS), "cause": ReleaseCause.PREEMPTED}
    victim = bound(held(asks, WEST, [old], **until))
    (place,) = allocation_of(victim).placements
    move = Move(
        sequence=2,
        cause=MoveCause.NODE_FAILED,
        decided_time=NOW,
        until_time=until["until_ms"],
        until_cause=until["cause"],
        placements=(place.model_copy(update={"node": new.name, "node_uid": new.uid, "home": 1}),),
    )
    moving = victim.model_copy(update={"status": move_status.moving(victim, move, NOW)})
    fleet = {LeaseUID(WEST.metadata.uid): inventory(WEST, [old, new])}
    return replace(told(), claims=(moving,), inventories=fleet)


def test_a_notice_stays_where_the_node_that_stands_in_for_a_failed_one_was_promised():
    seen = standing_in()
    window = {"startTime": format_instant(at(4)), "durationSeconds": 3600}
    booked = claim("window", gpus=8, schedule=window, priorityClassName="high")

    assert ends(seen) == [(None, None)]
    assert ends(replace(seen, claims=(*seen.claims, as_claim(booked)))) == []
