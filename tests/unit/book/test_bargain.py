"""Whoever can be helped is told a start, and what would bind, however many wait in front that can't be."""

from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.pending import OfferKind
from sublet.api.relocation import ReleaseCause
from sublet.book.backfill import SHADOWS
from sublet.book.decisions import Extend, Refuse
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import (
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    gpu_class,
    lease,
    tenant,
)
from tests.builders.fleet import bound, held, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.windows import at

WEST = as_lease(lease("west", committed=32))
CLASSES = (as_class(), as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=600)))
IN_VAIN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "beyond the quota": ({"gpus": 16}, {"quotas": [{"className": "h100", "gpus": 8}]}),
    "more than there is": ({"gpus": 64}, {}),
}
"""What claims ask for that no room helps, and what their tenant may."""
MANY = 4 * SHADOWS


def asking(
    name: str,
    of: str = "globex",
    seconds: int = 36_000,
    priority: str = "high",
    created: str = "2026-11-01T00:00:00Z",
    **spec: Any,
) -> GpuClaim:
    body = claim(
        name, of, schedule={"durationSeconds": seconds}, priorityClassName=priority, **spec
    )
    return as_claim(body, creationTimestamp=created)


def late(name: str, of: str = "globex", **spec: Any) -> GpuClaim:
    """Return a claim that comes after all others."""
    return asking(name, of, created="2026-11-22T00:00:00Z", **spec)


def in_vain(of: str = "acme", count: int = MANY, **spec: Any) -> list[GpuClaim]:
    """Return claims that come before all that are late, each for another time."""
    return [asking(f"vain-{of}-{i:03d}", of, 60 + i, **spec) for i in range(count)]


def busy(class_name: str = "h100") -> list[GpuClaim]:
    """Return claims on all four nodes, which end one after the other."""
    asked = [
        asking(f"busy{i}", "small", 3_600 * (i + 1), "low", class_name=class_name) for i in range(4)
    ]
    return [
        bound(held(each, WEST, [node], tenant_name="small", until_ms=at(i + 1)))
        for i, (each, node) in enumerate(zip(asked, nodes(WEST, 4), strict=True))
    ]


def seen(*claims: GpuClaim, acme: dict[str, Any] | None = None) -> View:
    specs: dict[str, dict[str, Any]] = {"acme": acme or {}, "globex": {}, "small": {}}
    tenants = tuple(
        as_tenant(tenant(name, namespaces=(name,), priorityClasses=["low", "high"], **spec))
        for name, spec in specs.items()
    )
    fleet = [(WEST, inventory(WEST, nodes(WEST, 4)))]
    ranks = {"low": 0, "high": 10}
    return view(claims, fleet, classes=CLASSES, tenants=tenants, priorities=ranks)


@pytest.mark.parametrize(("asked", "acme"), IN_VAIN.values(), ids=IN_VAIN)
def test_many_that_cant_be_helped_take_nobodys_start(asked, acme):
    large = late("large", gpus=32)

    refused = refusal_of(plan(seen(*busy(), *in_vain(**asked), large, acme=acme)), large)

    assert refused.estimated_ms == at(4)
    assert [o.change for o in refused.offers] == [OfferKind.LATER]


@pytest.mark.parametrize(("asked", "acme"), IN_VAIN.values(), ids=IN_VAIN)
def test_many_that_cant_be_helped_let_those_be_taken_back_that_another_needs(asked, acme):
    large = late("large", gpus=32)

    made = plan(seen(*busy("spot"), *in_vain(**asked), large, acme=acme))

    ends = [d.until_cause for d in made.decisions if isinstance(d, Extend)]
    assert ends == [ReleaseCause.PREEMPTED] * 4


def test_many_beyond_a_quota_take_no_start_of_their_tenants_other_claims():
    asked, acme = IN_VAIN["beyond the quota"]
    mine = late("mine", "acme", gpus=8)

    made = plan(seen(*busy(), *in_vain(**asked), mine, acme=acme))

    assert refusal_of(made, mine).estimated_ms == at(1)


def test_many_of_one_namespace_that_cant_be_helped_leave_others_their_offers():
    asked, acme = IN_VAIN["beyond the quota"]
    other = late("other", gpus=64)

    made = plan(seen(*in_vain(**asked), other, acme=acme))

    assert [o.gpus for o in refusal_of(made, other).offers] == [32]


def test_of_many_that_cant_be_helped_only_some_are_looked_at():
    asked, acme = IN_VAIN["beyond the quota"]

    made = plan(seen(*in_vain(**asked), acme=acme))

    offered = [bool(d.offers) for d in made.decisions if isinstance(d, Refuse)]
    assert SHADOWS <= sum(offered) < len(offered) // 2


def test_a_claim_with_a_place_is_served_however_many_wait_in_front():
    asked, acme = IN_VAIN["beyond the quota"]
    other = late("other")

    assert reserve_of(plan(seen(*in_vain(**asked), other, acme=acme)), other)
