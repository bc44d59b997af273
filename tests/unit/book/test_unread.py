"""What a pass leaves to a claim that can't be read: its leases get nothing more, and its GPUs count for its tenant."""

from dataclasses import replace
from decimal import Decimal

import pytest

from sublet.api import bound_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.pending import PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Degrade, Extend, Relocate, Warn
from sublet.book.failures import NODE_FAILED, REPLACE_AFTER_MS
from sublet.book.plan import plan
from sublet.book.unread import UnreadHolder
from tests.builders.api import NOW, as_lease, as_tenant, lease, tenant
from tests.builders.fleet import held, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.money import CLASSES, account, payer
from tests.builders.moves import decided, leased, on_sick_node, running
from tests.builders.windows import EAST, ahead, at, lasting, promised, west

IN_EAST = [(EAST, inventory(EAST, nodes(EAST, 2)))]
LATER = Millis(NOW + REPLACE_AFTER_MS + 1_000)


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
    limited = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": 16}])),)
    asks = lasting("asks", 4)

    refused = refusal_of(plan(view([asks], west(), tenants=limited, unread=(unread(),))), asks)

    assert refused.reason is PendingReason.EXCEEDS_QUOTA
    assert "16 of the tenant's quota of 16 are held, also by acme/newer, which can't be read" in (
        refused.message
    )


def test_a_window_to_come_counts_from_its_start_on():
    limited = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": 16}])),)
    soon, long = lasting("soon", 4), lasting("long", 5)
    to_come = unread(from_ms=at(4))

    assert reserve_of(plan(view([soon], west(), tenants=limited, unread=(to_come,))), soon)
    refused = refusal_of(plan(view([long], west(), tenants=limited, unread=(to_come,))), long)
    assert refused.reason is PendingReason.EXCEEDS_QUOTA


@pytest.mark.parametrize("other", [{"classes": frozenset({"a100"})}, {"tenants": frozenset()}])
def test_it_takes_nothing_from_other_classes_and_tenants(other: dict[str, object]):
    limited = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": 16}])),)
    asks = lasting("asks", 4)

    made = plan(view([asks], west(), tenants=limited, unread=(unread(**other),)))

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
