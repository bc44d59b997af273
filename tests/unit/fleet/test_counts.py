"""A lease's counts say what the book does: free is what a claim would get now, committed what is paid for now."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api.gpulease import GpuLease, InventoryStatus
from sublet.api.times import format_instant
from sublet.book.contract import committed_at
from sublet.book.decisions import Reserve
from sublet.book.inventory import LeaseInventory, Reach, Unfit
from sublet.book.plan import plan
from sublet.fleet.counts import counted
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import inventory, nodes, view
from tests.builders.sales import hour


def starts(hours: float) -> dict[str, Any]:
    return {"term": {"startTime": format_instant(hour(hours))}}


def ends(hours: float, **term: Any) -> dict[str, Any]:
    return {"end": format_instant(hour(hours)), "term": term}


def count(each: GpuLease, found: LeaseInventory) -> InventoryStatus:
    return counted(each, found, NOW, reserved=0, bound=0, is_lost=False)


def gets_a_place(each: GpuLease, found: LeaseInventory) -> bool:
    """Say whether the book gives a claim all that the lease has."""
    seen = view([as_claim(claim(gpus=16))], [(each, found)])
    return any(isinstance(d, Reserve) for d in plan(seen).decisions)


CANT_SELL = {
    "silent": ({}, {"reach": Reach.UNKNOWN}),
    "refuses": ({}, {"reach": Reach.UNREACHABLE}),
    "not read": ({}, {"synced": False}),
    "not proven": ({}, {"isolation_ready": False}),
    "not accepting": ({"acceptingClaims": False}, {}),
    "over": (ends(-1), {}),
    "not begun": (starts(24), {}),
    "reclaimed": (ends(1, reclaimLeadSeconds=7_200), {}),
    "reclaimed this instant": (ends(2, reclaimLeadSeconds=7_200), {}),
}


@pytest.mark.parametrize(("spec", "seen"), CANT_SELL.values(), ids=CANT_SELL)
def test_nothing_is_free_on_a_lease_of_which_no_claim_is_given_anything(spec, seen):
    each = as_lease(lease(committed=16, **spec))
    found = inventory(each, nodes(each, 2), **seen)

    assert not gets_a_place(each, found)
    assert count(each, found).free == 0


@pytest.mark.parametrize(
    "spec", [{}, starts(0), ends(3, reclaimLeadSeconds=7_200)], ids=["open", "begins", "ends"]
)
def test_all_is_free_on_a_lease_of_which_a_claim_is_given_all(spec):
    each = as_lease(lease(committed=16, **spec))
    found = inventory(each, nodes(each, 2))

    assert gets_a_place(each, found)
    assert count(each, found).free == 16


@pytest.mark.parametrize("unfit", [None, Unfit.MIG], ids=["not delivered", "never sold"])
def test_in_a_maintenance_window_of_some_gpus_those_that_never_came_are_not_the_ones_away(unfit):
    window = {"startTime": format_instant(hour(-1)), "endTime": format_instant(hour(1)), "gpus": 8}
    each = as_lease(lease(committed=32, maintenance=[window]))
    *good, last = nodes(each, 4)
    found = inventory(each, [*good, replace(last, unfit=unfit)] if unfit else good)
    asking = [as_claim(claim(f"c{i}", gpus=8, schedule={"durationSeconds": 60})) for i in range(4)]

    made = plan(view(asking, [(each, found)]))

    sold = 8 * sum(isinstance(d, Reserve) for d in made.decisions)
    assert count(each, found).free == sold == 16


def test_nothing_is_free_on_a_lease_that_is_being_deleted():
    each = as_lease(lease(committed=16))
    meta = each.metadata.model_copy(update={"deletion_timestamp": NOW})
    going = each.model_copy(update={"metadata": meta})
    found = inventory(going, nodes(going, 2))

    assert not gets_a_place(going, found)
    assert count(going, found).free == 0


@pytest.mark.parametrize(
    ("spec", "gpus"),
    [
        ({}, 16),
        (starts(0), 16),
        (starts(24), 0),
        (ends(1, reclaimLeadSeconds=7_200), 16),
        (ends(0), 0),
        (ends(-1), 0),
    ],
    ids=["open", "begins", "not begun", "reclaimed", "ends", "over"],
)
def test_committed_is_what_is_paid_for_now(spec, gpus):
    each = as_lease(lease(committed=16, **spec))

    assert count(each, inventory(each, nodes(each, 2))).committed == gpus
    assert committed_at(each, NOW) == gpus


def test_of_a_lease_that_isnt_read_after_a_restart_what_was_counted_stands_and_nothing_is_free():
    each = as_lease(lease(committed=16))
    before = count(each, inventory(each, nodes(each, 2)))
    status = each.status.model_copy(update={"inventory": before})
    again = each.model_copy(update={"status": status})

    unread = replace(inventory(again, []), reach=Reach.UNKNOWN, synced=False)

    now = count(again, unread)
    assert (now.delivered, now.healthy, now.free) == (16, 16, 0)
