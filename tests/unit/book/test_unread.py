"""What a pass leaves to a claim that is only held: what it was promised, and its GPUs count for its tenant.

The leases of one that can't be read get nothing more.
"""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from sublet.api import bound_status
from sublet.api.gpuclaim import Booking, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, TenantUID
from sublet.api.pending import PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Degrade, Extend, Plan, Relocate, Reserve, Warn
from sublet.book.failures import NODE_FAILED, REPLACE_AFTER_MS
from sublet.book.inventory import Holding, LeaseInventory, Unfit
from sublet.book.plan import plan
from sublet.book.unread import Given, UnreadHolder, still_booked
from tests.builders.api import NOW, as_claim, as_lease, as_tenant, claim, lease, tenant, uid_of
from tests.builders.fleet import (
    carried_out,
    held,
    inventory,
    nodes,
    refusal_of,
    reserve_of,
    view,
)
from tests.builders.money import CLASSES, account, payer
from tests.builders.moves import decided, leased, on_sick_node, running
from tests.builders.windows import EAST, WEST, ahead, at, lasting, promised, west

IN_EAST = [(EAST, inventory(EAST, nodes(EAST, 2)))]
SHARED = ClusterUID(uid_of("shared"))
WAITS = ClaimUID(uid_of("waits"))
LATER = Millis(NOW + REPLACE_AFTER_MS + 1_000)
LIMITED = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": 16}])),)


def unread(on: str = "elsewhere", gpus: int = 16, **fields: object) -> UnreadHolder:
    """Return a claim of the tenant acme that can't be read, on the lease of that UID."""
    found = UnreadHolder(
        key="acme/newer",
        leases=frozenset({LeaseUID(on)}),
        classes=frozenset({"h100"}),
        tenants=frozenset({TenantUID(as_tenant().metadata.uid)}),
        gpus=gpus,
    )
    return replace(found, **fields)


def booked(name: str = "newer", start: float = 4, lasts: float = 8, gpus: int = 8) -> UnreadHolder:
    """Return a claim that can't be read and was promised nodes of the lease west for a window of these hours."""
    allocation = promised(ahead(name, start, lasts, gpus)).status.allocation
    assert allocation is not None
    window = {"from_ms": at(start), "until_ms": at(start + lasts)}
    return unread(
        WEST.metadata.uid, gpus, key=f"acme/{name}", bookings=allocation.bookings, **window
    )


def beside(*promises: GpuClaim, gpus: int = 8) -> GpuClaim:
    """Return a promise on the lease west for the hours 4 to 12, made when these were there."""
    mine = ahead("mine", 4, 8, gpus)
    return carried_out(mine, reserve_of(plan(view([*promises, mine], west())), mine))


def asked_for(claim: GpuClaim, **schedule: object) -> GpuClaim:
    """Return a claim that asks for something else of its time."""
    changed = claim.spec.schedule.model_copy(update=schedule)
    return claim.model_copy(update={"spec": claim.spec.model_copy(update={"schedule": changed})})


def test_a_claim_on_a_failed_node_gets_none_of_its_lease():
    each, _ = sick = on_sick_node(leased("west", count=3))
    train = running(leased("west", count=3), replacement="OnFailure")
    status = bound_status.degraded(train, NODE_FAILED, "a node failed", Millis(NOW))
    train = train.model_copy(update={"status": status})

    free = decided(view([train], [sick], now_ms=LATER))
    (kept,) = decided(view([train], [sick], now_ms=LATER, unread=(unread(each.metadata.uid),)))

    assert [type(d) for d in free] == [Relocate]
    assert isinstance(kept, Degrade)
    assert "no other node is free" in kept.message


def test_it_gets_a_node_of_another_lease_that_may_join():
    west_, _ = sick = on_sick_node(leased("west", count=1))
    train = running(leased("west", count=1), replacement="OnFailure")
    status = bound_status.degraded(train, NODE_FAILED, "a node failed", Millis(NOW))
    train = train.model_copy(update={"status": status})
    fleet = [sick, leased("east", count=1)]

    (found,) = decided(view([train], fleet, now_ms=LATER, unread=(unread(west_.metadata.uid),)))

    assert isinstance(found, Relocate)
    assert [p.lease for p in found.placements] == ["east"]


@pytest.mark.parametrize(
    "cause", [ReleaseCause.LEASE_ENDED, ReleaseCause.MAINTENANCE, ReleaseCause.PREEMPTED]
)
def test_a_claim_whose_end_would_be_moved_on_stays_no_longer_in_it(cause: ReleaseCause):
    each = as_lease(lease("west", committed=16))
    train = held(lasting("train", 8, 8), each, nodes(each, 1), until_ms=at(4), cause=cause)
    fleet = [(each, inventory(each, nodes(each, 2)))]

    free = plan(view([train], fleet)).decisions
    kept = plan(view([train], fleet, unread=(unread(each.metadata.uid),))).decisions

    assert [d.until_ms for d in free if isinstance(d, Extend)] == [at(8)]
    assert not [d for d in kept if isinstance(d, Extend)]


def test_a_promise_there_gets_no_more_time():
    mine = asked_for(promised(ahead("mine", 4, 4)), duration_seconds=6 * 3_600)
    uid = west()[0][0].metadata.uid

    free = plan(view([mine], west())).decisions
    kept = plan(view([mine], west(), unread=(unread(uid),))).decisions

    assert [d.until_ms for d in free if isinstance(d, Extend)] == [at(10)]
    assert not [d for d in kept if isinstance(d, Extend)]


def test_its_gpus_count_towards_its_tenants_quota_and_the_refusal_names_it():
    asks = lasting("asks", 4)

    refused = refusal_of(plan(view([asks], west(), tenants=LIMITED, unread=(unread(),))), asks)

    assert refused.reason is PendingReason.EXCEEDS_QUOTA
    assert (
        "16 of the tenant's quota of 16 are held or promised, also by acme/newer, which can't be read"
        in (refused.message)
    )


def test_a_window_to_come_counts_from_its_start_on():
    soon, long = lasting("soon", 4), lasting("long", 5)
    to_come = unread(from_ms=at(4))

    assert reserve_of(plan(view([soon], west(), tenants=LIMITED, unread=(to_come,))), soon)
    refused = refusal_of(plan(view([long], west(), tenants=LIMITED, unread=(to_come,))), long)
    assert refused.reason is PendingReason.EXCEEDS_QUOTA


def test_the_start_of_its_window_is_due_for_who_waits_until_then():
    full = as_lease(lease("west", committed=16))
    globex = as_tenant(tenant("globex", namespaces=("globex",)))
    others = as_claim(claim("others", namespace="globex", gpus=16))
    all_of_it = held(others, full, nodes(full, 2), tenant_name="globex")
    fleet = [(full, inventory(full, nodes(full, 2)))]
    asks = lasting("asks", 3)
    to_come = unread(from_ms=at(4))

    def made(now_ms: Millis) -> Plan:
        seen = {"tenants": (*LIMITED, globex), "unread": (to_come,), "now_ms": now_ms}
        return plan(view([all_of_it, asks], fleet, **seen))

    due = made(NOW).next_due_ms

    assert due == at(1) + 1  # its three hours reach into the window from then on
    assert refusal_of(made(NOW), asks).reason is PendingReason.WAITING_FOR_CAPACITY
    assert refusal_of(made(due), asks).reason is PendingReason.EXCEEDS_QUOTA


@pytest.mark.parametrize(("hour", "due"), [(1, 4), (5, 12), (13, None)])
def test_its_window_is_looked_at_when_it_begins_and_ends(hour: float, due: float | None):
    made = plan(view([], west(), now_ms=at(hour), unread=(booked(),)))

    assert made.next_due_ms == (at(due) if due is not None else None)


def test_a_refusal_for_the_quota_names_none_whose_window_begins_after_what_was_asked_for():
    own = held(as_claim(claim("own", gpus=16)), WEST, nodes(WEST, 2), until_ms=at(2))
    asks = lasting("asks", 4)

    def message(*unread_: UnreadHolder) -> str:
        seen = view([own, asks], west(), tenants=LIMITED, unread=unread_)
        return refusal_of(plan(seen), asks).message

    late, soon = unread(key="acme/late", from_ms=at(4)), unread(key="acme/soon", from_ms=at(3))
    assert "16 of the tenant's quota of 16 are held or promised; wait" in message(late)
    assert "are held or promised, also by acme/soon, which can't be read" in message(late, soon)


def test_one_that_waits_to_be_adopted_closes_no_lease_and_the_refusal_says_what_it_waits_for():
    asks, beside_it = lasting("asks", 4), as_claim(claim("beside", "globex", gpus=8))
    waits = waiting(unread())
    tenants = (*LIMITED, as_tenant(tenant("globex", namespaces=("globex",))))

    made = plan(view([asks, beside_it], west(), tenants=tenants, unread=(waits,)))

    said = refusal_of(made, asks).message
    assert "also by acme/newer, which waits to be adopted and counts until it is" in said
    assert reserve_of(made, beside_it)


def waiting(each: UnreadHolder) -> UnreadHolder:
    """Return it as a claim that waits to be adopted."""
    return replace(each, leases=frozenset(), awaited_uid=WAITS)


def of_the_waiting(lease: GpuLease, gpus: int = 8) -> tuple[GpuLease, LeaseInventory]:
    """Return a lease with two nodes, of which one gives so many GPUs to the claim that waits to be adopted."""
    first, second = nodes(lease, 2)
    named = replace(first, holdings=(Holding(WAITS, gpus),))
    return lease, inventory(lease, [named, second])


def test_a_window_that_became_nodes_after_the_backup_is_held_by_their_books_alone():
    waits = waiting(booked())
    asks = ahead("asks", 5, 2, 8)

    made = plan(view([asks], [of_the_waiting(WEST)], unread=(waits,)))

    assert {b.lease for b in reserve_of(made, asks).bookings} == {"west"}


def test_a_landlord_whose_nodes_name_a_claim_lets_nobody_into_its_window_at_another():
    waits = waiting(booked(gpus=16))
    asks = ahead("asks", 5, 2, 16)

    made = plan(view([asks], [*west(), of_the_waiting(EAST)], unread=(waits,)))

    assert refusal_of(made, asks).reason is PendingReason.WAITING_FOR_CAPACITY


@pytest.mark.parametrize(("booked_gpus", "named_gpus"), [(16, 8), (8, 1)])
def test_of_a_window_that_waits_only_what_a_node_names_of_it_is_held_by_its_book_alone(
    booked_gpus: int, named_gpus: int
):
    waits = waiting(booked(gpus=booked_gpus))
    asks = ahead("asks", 5, 2, 8)

    made = plan(view([asks], [of_the_waiting(WEST, named_gpus)], unread=(waits,)))

    assert refusal_of(made, asks).reason is PendingReason.WAITING_FOR_CAPACITY


def test_a_node_of_another_lease_of_the_cluster_takes_nothing_off_what_this_one_promised():
    asks = ahead("asks", 5, 2, 16)
    east, shown = of_the_waiting(EAST)
    named = next(n for n in shown.nodes.values() if n.holdings)
    beside_it = [*nodes(WEST, 2), replace(named, unfit=Unfit.NODE_OVERLAP)]
    fleet = [
        (WEST, inventory(WEST, beside_it, cluster_uid=SHARED)),
        (east, replace(shown, cluster_uid=SHARED)),
    ]

    made = plan(view([asks], fleet, unread=(waiting(booked(gpus=16)),)))

    assert refusal_of(made, asks).reason is PendingReason.WAITING_FOR_CAPACITY


def test_a_node_without_a_label_in_two_inventories_is_taken_off_one_leases_promise():
    node, _ = nodes(WEST, 2, prefix="both")
    named = replace(node, holdings=(Holding(WAITS, 8),), unfit=Unfit.NOT_ADOPTED)
    shown = [inventory(each, [named, *nodes(each, 1)], cluster_uid=SHARED) for each in (WEST, EAST)]
    (in_west,) = booked().bookings
    in_east = in_west.model_copy(update={"lease": "east", "lease_uid": EAST.metadata.uid})
    waits = replace(waiting(booked(gpus=16)), bookings=(in_west, in_east))
    asks = ahead("asks", 5, 2, 16)

    made = plan(view([asks], zip((WEST, EAST), shown, strict=True), unread=(waits,)))

    assert refusal_of(made, asks).reason is PendingReason.WAITING_FOR_CAPACITY


def test_a_node_is_taken_off_what_was_promised_in_its_own_nvlink_domain():
    (each,) = booked(gpus=16).bookings
    first, second = (each.model_copy(update={"domain": d}) for d in ("first", "second"))
    waits = replace(waiting(booked()), bookings=(first, second))
    in_second = Given(LeaseUID(WEST.metadata.uid), 8, "second")

    left = still_booked(waits, {WAITS: Counter({in_second: 1})})

    assert [(b.domain, b.nodes) for b in left] == [("first", 2), ("second", 1)]


def test_nodes_are_taken_off_what_was_promised_once_however_it_was_booked():
    (each,) = booked().bookings
    half = each.model_copy(update={"gpus_per_node": 4})
    waits = replace(waiting(booked()), bookings=(half, each, half))
    uid = LeaseUID(WEST.metadata.uid)
    given = Counter({Given(uid, 8, None): 1, Given(uid, 4, "moved"): 1})

    assert still_booked(waits, {WAITS: given}) == (half,)


@pytest.mark.parametrize("other", [{"classes": frozenset({"a100"})}, {"tenants": frozenset()}])
def test_it_takes_nothing_from_other_classes_and_tenants(other: dict[str, object]):
    asks = lasting("asks", 4)

    made = plan(view([asks], west(), tenants=LIMITED, unread=(unread(**other),)))

    assert reserve_of(made, asks)


@pytest.mark.parametrize(
    ("gpus", "currency", "is_served"), [(8, "USD", False), (0, "USD", True), (8, "EUR", True)]
)
def test_what_it_costs_is_missing_in_its_tenants_budget(gpus: int, currency: str, is_served: bool):
    asks = lasting("asks", 1, 8)
    costs = unread(gpus=gpus, price=Decimal(1), currency=currency, is_billed=True)

    made = plan(
        view(
            [asks],
            west(),
            classes=CLASSES,
            tenants=(payer(),),
            accounts=account(0, of=payer()),
            unread=(costs,),
        )
    )

    if is_served:
        assert reserve_of(made, asks)
    else:
        assert refusal_of(made, asks).reason is PendingReason.EXCEEDS_BUDGET


def test_a_promise_that_slips_takes_no_other_nodes_of_it():
    mine = promised(ahead("mine", 4, 4))
    ((each, found),) = west()
    changed = {name: replace(node, clique="rack") for name, node in found.nodes.items()}
    fleet = [(each, replace(found, nodes=changed))]
    held_by_newer = (unread(each.metadata.uid),)

    free = plan(view([mine], fleet, now_ms=at(4)))
    kept = plan(view([mine], fleet, now_ms=at(4.1), unread=held_by_newer))

    assert len(reserve_of(free, mine).placements) == 2
    assert [type(d) for d in kept.decisions] == [Warn]


@pytest.mark.parametrize("hour", [1, 4.1], ids=["to come", "begun"])
def test_a_node_that_it_was_promised_is_no_other_promises(hour: float):
    """Two nodes were promised, and one is left."""
    newer = promised(ahead("newer", 4, 8, 8))
    mine = beside(newer)
    one = west(1)

    lost = plan(view([mine], one, now_ms=at(hour), unread=(booked(),))).decisions
    kept = plan(view([mine], west(), now_ms=at(hour), unread=(booked(),))).decisions

    assert [type(d) for d in lost] == [Warn]
    assert [type(d) for d in kept] == ([Reserve] if hour > 4 else [])


def test_a_promise_that_finds_its_node_gone_to_it_goes_to_another_lease():
    mine = beside(promised(ahead("newer", 4, 8, 8)))

    made = plan(view([mine], [*west(1), *IN_EAST], now_ms=at(4.1), unread=(booked(),)))

    assert {p.lease for p in reserve_of(made, mine).placements} == {"east"}


def test_windows_before_and_after_its_own_are_kept_for_others():
    before, after = promised(ahead("before", 2, 2)), promised(ahead("after", 12, 2))

    made = plan(view([before, after], west(), now_ms=at(1), unread=(booked(gpus=16),)))

    assert made.decisions == ()


def test_what_was_read_of_it_before_is_kept_once():
    newer = promised(ahead("newer", 4, 8, 8))

    made = plan(view([newer, beside(newer)], west(), now_ms=at(1), unread=(booked(),)))

    assert made.decisions == ()


@pytest.mark.parametrize("from_ms", [0, at(4)])
def test_whatever_it_says_it_was_promised_claims_stay_on_their_nodes(from_ms: Millis):
    bound = held(lasting("bound", 8), WEST, nodes(WEST, 2), until_ms=at(8))
    much = Booking(
        lease="west", lease_uid=WEST.metadata.uid, product="p", nodes=4_096, gpus_per_node=8
    )
    newer = replace(booked(), bookings=(much,) * 3, from_ms=from_ms)

    made = plan(view([bound], west(), now_ms=at(5), unread=(newer,)))

    assert made.decisions == plan(view([bound], west(), now_ms=at(5))).decisions
