"""What the CEL rules of lists that only grow accept and refuse: prices and discounts that were agreed stand."""

from tests.builders.api import LONG_AGO, lease, tenant
from tests.integration.api.asking import Body, change
from tests.integration.api.list_examples import LATER
from tests.integration.api.rule_case import Case, Examples


def append_only(first: Body) -> Examples:
    """Return what may be done to an object's prices."""
    price = first["spec"]["prices"][0]
    later = {"effectiveTime": LATER, "perGpuHour": "1.50"}
    two = change(first, "prices", [price, later])
    return Examples(
        accepted=(
            Case(two, first),
            Case(change(first, "prices", [later, price]), two),
        ),
        refused=(
            Case(change(first, "prices.0.perGpuHour", "1.00"), first),
            Case(change(first, "prices.0.effectiveTime", "2026-02-01T00:00:00Z"), first),
            Case(change(first, "prices", [later]), first),
            Case(first, two),
        ),
    )


def append_only_buy_prices() -> Examples:
    """Return what may be done to a lease's prices."""
    plain = append_only(lease())
    held = change(lease(), "prices.0.holdingPerGpuHour", "1.10")
    over = change(held, "prices.0.overagePerGpuHour", "4.00")
    return Examples(
        accepted=(*plain.accepted, Case(over, over)),
        refused=(
            *plain.refused,
            Case(held, lease()),
            Case(lease(), held),
            Case(over, held),
            Case(change(over, "prices.0.overagePerGpuHour", "4.10"), over),
            Case(change(over, "prices.0.holdingPerGpuHour", "1.00"), over),
        ),
    )


def append_only_discounts() -> Examples:
    """Return what may be done to a tenant's discounts."""
    all_of, one = (
        {"effectiveTime": LONG_AGO, "percent": 10},
        {"effectiveTime": LONG_AGO, "percent": 20, "className": "h100"},
    )
    first = tenant(discounts=[all_of, one])
    later = {"effectiveTime": LATER, "percent": 0}
    return Examples(
        accepted=(
            Case(tenant(discounts=[all_of]), tenant()),
            Case(tenant(discounts=[later, one, all_of]), first),
            Case(tenant(discounts=[all_of, one, {**later, "className": "h100"}]), first),
        ),
        refused=(
            Case(tenant(discounts=[one]), first),
            Case(tenant(discounts=[]), first),
            Case(tenant(discounts=[{**all_of, "percent": 11}, one]), first),
            Case(tenant(discounts=[{**all_of, "effectiveTime": LATER}, one]), first),
            Case(tenant(discounts=[{**all_of, "className": "b200"}, one]), first),
            Case(tenant(discounts=[all_of, {**one, "className": "b200"}]), first),
        ),
    )
