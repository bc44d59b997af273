"""What the CEL rules of lists accept and refuse: one entry at a time, and networks that are some."""

from collections.abc import Callable
from typing import Any

from tests.builders.api import LONG_AGO, gpu_class, lease, tenant
from tests.integration.api.asking import Body, change
from tests.integration.api.rule_case import Case, Examples, Key

LATER = "2027-01-01T00:00:00Z"
SPELT = ("2027-01-01T01:00:00+01:00", "2027-01-01T00:00:00+00:00", "2027-01-01T00:00:00.000Z")
"""LATER, otherwise."""


def _once(body: Callable[..., Body], *more: Any) -> Examples:
    """Return examples of a list of instants, which `body` makes an object of."""
    return Examples(
        accepted=(Case(body(LATER)), Case(body(LONG_AGO, LATER)), *more),
        refused=tuple(Case(body(LATER, LONG_AGO, at)) for at in SPELT),
    )


def _sold(*instants: str) -> Body:
    return gpu_class(prices=[{"effectiveTime": at, "perGpuHour": "1"} for at in instants])


def _bought(*instants: str) -> Body:
    return lease(prices=[{"effectiveTime": at, "perGpuHour": "1"} for at in instants])


def _discounted(*instants: str, **fields: str) -> Body:
    return tenant(discounts=[{"effectiveTime": at, "percent": 1, **fields} for at in instants])


def _optional(*instants: str) -> Body:
    options = [{"exerciseByTime": LONG_AGO, "startTime": at, "gpus": 8} for at in instants]
    return change(lease(), "commitment.options", options)


def _denied(*networks: str) -> Case:
    return Case(lease(tenantAccess={"deniedCIDRs": list(networks)}))


_PRICES = "two prices have the same effectiveTime; only one can hold"
_BOTH = [{"effectiveTime": LATER, "percent": 1}, {"effectiveTime": LATER, "percent": 2, "className": "h100"}]  # fmt: skip
_OF_ONE_CLASS = tuple(Case(_discounted(LATER, at, className="h100")) for at in SPELT)
_DISCOUNTS = _once(_discounted, Case(tenant(discounts=_BOTH)))

LISTS: dict[Key, Examples] = {
    ("GpuClass", ".spec.prices", _PRICES): _once(_sold),
    ("GpuLease", ".spec.prices", _PRICES): _once(_bought),
    (
        "GpuTenant",
        ".spec.discounts",
        "two discounts of the same class have the same effectiveTime; only one can hold",
    ): Examples(_DISCOUNTS.accepted, (*_DISCOUNTS.refused, *_OF_ONE_CLASS)),
    (
        "GpuLease",
        ".spec.commitment.options",
        "two options have the same startTime; make them one",
    ): _once(_optional),
    (
        "GpuLease",
        ".spec.tenantAccess.deniedCIDRs[]",
        "this is no network; write it as 203.0.113.0/24 or 2001:db8::/32",
    ): Examples(
        accepted=(
            _denied("203.0.113.0/24", "203.0.113.7/32", "0.0.0.0/0"),
            _denied("2001:db8::/32", "::1/128", "::/0", "2001:DB8:0:0:0:0:0:0/48"),
        ),
        refused=tuple(
            _denied(text)
            for text in (
                "203.0.113/24",
                "203.0.113.0/240",
                "203.0.113.0/33",
                "203.000.113.0/24",
                "2001:db8::/129",
                "2001:db8:/32",
                "::ffff:203.0.113.0/120",
                "203.0.113.0",
            )
        ),
    ),
}
