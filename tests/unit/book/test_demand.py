"""What a claim asks for, or the claim-wide reason why it asks in vain."""

from decimal import Decimal

import pytest

from sublet.api.pending import PendingReason
from sublet.api.times import format_instant
from sublet.book.decisions import Refuse
from sublet.book.demand import Demand, Rules
from sublet.book.steps import FOREVER
from tests.builders.api import (
    LONG_AGO,
    NOW,
    as_claim,
    as_class,
    as_tenant,
    claim,
    gpu_class,
    tenant,
)
from tests.builders.fleet import view

HOUR = 3_600_000
DELETED = "2026-11-22T09:30:00Z"


def read(body=None, **fields):
    return Rules(view([], [], **fields)).read(as_claim(body))


def demand(body=None, **fields) -> Demand:
    found = read(body, **fields)
    assert isinstance(found, Demand), found
    return found


def refused(body=None, **fields) -> tuple[PendingReason, str]:
    found = read(body, **fields)
    assert isinstance(found, Refuse), found
    return found.reason, found.message


def priced(*prices: tuple[str, str], **spec):
    dated = [{"effectiveTime": when, "perGpuHour": price} for when, price in prices]
    return (as_class(gpu_class(prices=dated, **spec)),)


def test_the_price_is_the_latest_that_has_begun_to_the_millisecond():
    rising = priced(
        ("2027-01-01T00:00:00Z", "9"), (LONG_AGO, "1.5"), (format_instant(NOW), "2.000001")
    )

    assert demand(classes=rising).price == Decimal("2.000001")
    assert demand(classes=rising, now_ms=NOW - 1).price == Decimal("1.5")


@pytest.mark.parametrize(("limit", "fits"), [("2.35", True), ("2.350", True), ("2.349999", False)])
def test_a_price_is_compared_exactly(limit, fits):
    found = read(claim(maxPricePerGpuHour=limit), classes=priced((LONG_AGO, "2.35")))

    assert isinstance(found, Demand) is fits
    assert fits or found.reason is PendingReason.PRICE_UNMET


def test_a_class_that_is_being_deleted_takes_no_new_claims():
    reason, said = refused(classes=(as_class(deletionTimestamp=DELETED),))

    assert reason is PendingReason.MISCONFIGURED
    assert said == "class h100 is being deleted; choose another class"


def test_a_claim_is_told_the_classes_that_its_tenant_may_claim():
    going = as_class(gpu_class("going"), deletionTimestamp=DELETED)
    classes = (as_class(), as_class(gpu_class("secret")), going)
    kept = as_tenant(tenant(classes={"deny": ["secret"]}))

    for name in ("secret", "absent"):
        reason, said = refused(claim(class_name=name), classes=classes, tenants=(kept,))
        assert reason is PendingReason.MISCONFIGURED
        assert said.endswith("className may be: h100")


def test_a_long_list_of_classes_is_cut():
    classes = tuple(as_class(gpu_class(f"c{i:02d}")) for i in range(12))

    assert refused(classes=classes)[1].endswith("c06, c07 and 4 more")


def test_a_tenant_that_is_being_deleted_gets_nothing_new():
    reason, said = refused(tenants=(as_tenant(deletionTimestamp=DELETED),))

    assert reason is PendingReason.NO_TENANT
    assert said == "the GpuTenant of namespace acme is being deleted"


def test_a_namespace_that_a_tenant_names_isnt_the_default_tenants():
    others = as_tenant(tenant("other", namespaces=("other",)))

    found = demand(tenants=(as_tenant(), others), default_tenant="other")

    assert found.tenant.metadata.name == "acme"


def test_a_namespace_that_a_tenant_names_who_cant_be_read_is_nobody_elses():
    reason, said = refused(unread_tenants={"acme": "acme-corp"}, default_tenant="acme")

    assert reason is PendingReason.NO_TENANT
    assert said.startswith("the GpuTenant acme-corp, which names namespace acme, can't be read")


def test_the_first_priority_class_of_a_tenant_is_its_default():
    ranked = as_tenant(tenant(priorityClasses=["normal", "high"]))
    values = {"normal": -5, "high": 100}

    assert demand(tenants=(ranked,), priorities=values).priority == -5
    assert (
        demand(claim(priorityClassName="high"), tenants=(ranked,), priorities=values).priority
        == 100
    )
    assert demand(priorities=values).priority == 0


def test_a_priority_class_that_the_hub_doesnt_have_is_told():
    ranked = as_tenant(tenant(priorityClasses=["normal"]))

    reason, said = refused(tenants=(ranked,), priorities={})

    assert reason is PendingReason.MISCONFIGURED
    assert "no PriorityClass normal on the hub" in said


@pytest.mark.parametrize(
    ("asked", "longest", "ends"),
    [
        (None, None, None),
        (None, 7200, 2),
        (3600, None, 1),
        (3600, 7200, 1),
        (7200, 7200, 2),
    ],
)
def test_a_claim_ends_by_its_duration_or_the_classes_longest(asked, longest, ends):
    body = claim(schedule={"durationSeconds": asked} if asked else {})
    found = demand(body, classes=priced((LONG_AGO, "1"), maxDurationSeconds=longest))

    lease_ends = NOW + HOUR + HOUR // 2

    assert found.own_end_ms == (NOW + ends * HOUR if ends else FOREVER)
    assert found.until_on(lease_ends) == (
        found.own_end_ms if asked else min(found.own_end_ms, lease_ends)
    )


def test_a_claim_longer_than_its_class_allows_is_misconfigured():
    body = claim(schedule={"durationSeconds": 7201})

    reason, said = refused(body, classes=priced((LONG_AGO, "1"), maxDurationSeconds=7200))

    assert reason is PendingReason.MISCONFIGURED
    assert "allows 7200 seconds at most" in said


@pytest.mark.parametrize("asked", [{}, {"durationSeconds": 3600}])
def test_a_window_that_its_class_or_its_duration_ended_is_over(asked):
    start = {"startTime": format_instant(NOW - 5 * HOUR)}

    reason, said = refused(
        claim(schedule={**start, **asked}), classes=priced((LONG_AGO, "1"), maxDurationSeconds=3600)
    )

    assert reason is PendingReason.MISCONFIGURED
    assert said.startswith(f"its window is over since {format_instant(NOW - 4 * HOUR)}; choose")


def test_a_suspended_claim_is_only_that_whatever_else_is_wrong_with_it():
    assert refused(claim(suspended=True, class_name="absent"), tenants=())[0] is (
        PendingReason.SUSPENDED
    )


def used(milliseconds: int, **schedule):
    body = claim(schedule={"durationSeconds": 7_200, **schedule})
    return {**body, "status": {"usedMilliseconds": milliseconds}}


def test_a_claim_that_comes_back_has_what_is_left_of_its_duration():
    assert demand(used(HOUR)).asked_until_ms == NOW + HOUR


def test_a_window_of_its_own_doesnt_move_by_what_was_used():
    body = used(HOUR, startTime=format_instant(NOW - HOUR))

    assert demand(body).asked_until_ms == NOW + HOUR


def test_a_duration_that_is_used_up_is_a_mistake_that_is_named():
    reason, message = refused(used(2 * HOUR))

    assert reason is PendingReason.MISCONFIGURED
    assert "its 7200 seconds are used up" in message
