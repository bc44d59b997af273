"""A book that decides only what is new puts nothing off for claims that hold GPUs: moves, pardons, money."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Dearer, Decision, Degrade, Extend, Silence, Take
from sublet.book.inventory import LeaseInventory
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.book.warm import Book
from tests.builders.api import LONG_AGO, NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import after, bound, held, inventory, nodes, released, reserve_of, view
from tests.builders.money import CLASSES, account, payer
from tests.builders.moves import leased, on_sick_node, running
from tests.builders.windows import at

RISING = as_class(
    gpu_class(
        pricing="Floating",
        prices=[
            {"effectiveTime": LONG_AGO, "perGpuHour": "3"},
            {"effectiveTime": format_instant(Millis(NOW + 60_000)), "perGpuHour": "9"},
        ],
    )
)
"""Dearer a minute from now."""


def unproven(pair: tuple[GpuLease, LeaseInventory]) -> tuple[GpuLease, LeaseInventory]:
    return pair[0], replace(pair[1], isolation_ready=False, isolation_fault=True)


def silent(pair: tuple[GpuLease, LeaseInventory]) -> tuple[GpuLease, LeaseInventory]:
    status = pair[0].status.model_copy(update={"last_seen_time": NOW})
    return pair[0].model_copy(update={"status": status}), pair[1]


def busy_with(seen: View, *claims: GpuClaim) -> View:
    return replace(seen, busy=frozenset(c.metadata.uid for c in claims))


def test_a_failed_node_of_a_claim_that_work_was_under_way_for_is_told_when_the_work_ends():
    pair = leased("west", count=4)
    train = running(pair)
    seen = view([train], [on_sick_node(pair)])
    book = Book()
    assert book.plan(busy_with(seen, train)).decisions == ()
    assert book.plan(busy_with(seen, train)).decisions == ()
    assert not book.is_full

    (said,) = book.plan(seen).decisions

    assert isinstance(said, Degrade)


def test_a_silent_cluster_of_a_claim_that_work_was_under_way_for_is_told_when_the_work_ends():
    west, found = leased("west", count=4)
    train = running((west, found))
    silent = west.status.model_copy(update={"last_seen_time": at(-1)})
    seen = view([train], [(west.model_copy(update={"status": silent}), found)])
    book = Book()
    assert book.plan(busy_with(seen, train)).decisions == ()

    (said,) = book.plan(seen).decisions

    assert isinstance(said, Silence)


@pytest.mark.parametrize(
    ("pair", "spec", "said"),
    [
        (leased("west", count=4), {"maxPricePerGpuHour": "4"}, Dearer),
        (unproven(leased("west", count=4)), {}, Degrade),
        (silent(leased("west", count=4)), {}, Silence),
    ],
    ids=["dearer", "unproven", "silent"],
)
def test_what_became_wrong_before_a_claim_was_bound_is_told_when_it_is(
    pair: tuple[GpuLease, LeaseInventory], spec: dict[str, Any], said: type[Decision]
):
    later = Millis(NOW + 62_000)
    seen = view([as_claim(claim("train", **spec))], [leased("west", count=4)], classes=(RISING,))
    book = Book()
    seen = after(seen, book.plan(seen))
    book.plan(seen)
    lease_, found = pair
    seen = replace(
        seen, now_ms=later, leases=(lease_,), inventories={LeaseUID(lease_.metadata.uid): found}
    )
    book.plan(seen)  # a full pass, which has nothing to say to a claim that isn't bound
    (train,) = seen.claims
    bound_now = replace(seen, claims=(bound(train, later),))

    assert [type(d) for d in book.plan(bound_now).decisions] == [said]


def test_a_claim_whose_work_ends_and_that_nothing_was_put_off_for_is_no_reason_to_plan_anew():
    pair = leased("west", count=4)
    train = running(pair)
    seen = view([train], [pair])
    book = Book()
    book.plan(busy_with(seen, train))
    book.plan(seen)
    assert not book.is_full


def test_a_reservation_that_is_written_later_than_it_was_decided_is_no_reason_to_plan_anew():
    seen = view([as_claim(claim("train"))], [leased("west", count=4)])
    book = Book()
    assumed = after(seen, book.plan(seen))
    book.plan(assumed)
    (train,) = assumed.claims
    conditions = tuple(
        c.model_copy(update={"last_transition_time": c.last_transition_time + 400})
        for c in train.status.conditions
    )
    status = train.status.model_copy(update={"conditions": conditions})

    made = book.plan(replace(assumed, claims=(train.model_copy(update={"status": status}),)))

    assert made.decisions == ()
    assert not book.is_full


def test_a_notice_that_nobody_needs_is_taken_back_when_the_work_on_its_claim_ends():
    west = as_lease(lease("west", committed=8))
    found = inventory(west, nodes(west, 1))
    spot = as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=600))
    given = held(
        as_claim(claim("victim", class_name="spot")),
        west,
        list(found.nodes.values()),
        until_ms=at(1),
        cause=ReleaseCause.PREEMPTED,
    )
    seen = view([given], [(west, found)], classes=(as_class(), spot))
    book = Book()
    assert book.plan(busy_with(seen, given)).decisions == ()

    (pardoned,) = book.plan(seen).decisions

    assert isinstance(pardoned, Extend)


def test_claims_that_move_only_later_are_bound_and_change_without_a_new_pass():
    pair = leased("west", end=100)
    book = Book()
    seen = view([as_claim(claim("train"))], [pair])
    seen = after(seen, book.plan(seen))
    seen = replace(seen, claims=(bound(seen.claims[0]),))
    due = book.plan(seen).next_due_ms
    assert not book.is_full
    assert due == plan(seen).next_due_ms


def test_nodes_that_nobody_lists_are_asked_for_in_every_pass():
    pair = leased("west")
    train = running(pair)
    seen = view([train], [(pair[0], inventory(pair[0], []))])
    book = Book()
    first = book.plan(seen)
    assert first.unseen
    assert book.plan(seen).unseen == first.unseen
    assert not book.is_full


def spending(*claims: GpuClaim, **budget: str) -> View:
    west = as_lease(lease("west", committed=64))
    found = inventory(west, nodes(west, 8))
    tenants = (payer(**budget),)
    return view(claims, [(west, found)], classes=CLASSES, tenants=tenants, accounts=account())


def test_money_that_a_late_bind_left_goes_to_a_claim_that_waits_for_it():
    first = as_claim(claim("a", schedule={"durationSeconds": 3_600}))
    book, seen = Book(), spending(first, amount="15.75")
    seen = after(seen, book.plan(seen))
    began = {"startTime": format_instant(at(-1)), "durationSeconds": 7_200}
    second = as_claim(claim("b", schedule=began))
    seen = replace(seen, claims=(*seen.claims, second))
    due = book.plan(seen).next_due_ms
    late = Millis(NOW + 60_000)
    assert due is not None
    assert late < due
    seen = replace(seen, claims=(bound(seen.claims[0], late), second), now_ms=late)

    assert reserve_of(book.plan(seen), second) == reserve_of(plan(seen), second)


def test_a_claim_of_a_payer_that_is_gone_is_planned_anew():
    west = as_lease(lease("west"))
    gone = bound(held(as_claim(claim("a")), west, nodes(west, 1)))
    gone = released(gone, Take(gone.metadata.uid, ReleaseCause.COMPLETED, NOW))
    book, seen = Book(), spending(gone)
    book.plan(seen)
    book.plan(replace(seen, claims=()))
    assert book.is_full
