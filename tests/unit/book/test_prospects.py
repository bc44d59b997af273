"""A start is kept, told or offered only if its tenant will have the quota and the money for it."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import TenantUID
from sublet.api.pending import OfferKind, PendingReason
from sublet.api.periods import period_start
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.account import Account
from sublet.book.decisions import Extend, Plan, Refuse
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
from tests.builders.fleet import after, bound, held, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.windows import at

WEST, EAST = as_lease(lease("west", committed=32)), as_lease(lease("east", committed=32))
OTHER = as_tenant(tenant("globex", namespaces=("globex",)))
CLASSES = (as_class(), as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=3600)))
MEANS: dict[str, dict[str, Any]] = {
    "quota": {"quotas": [{"className": "h100", "gpus": 8}]},
    "money": {"budget": {"amount": "400", "currency": "USD", "period": "Month"}},
}
"""Enough for one claim for a node for ten hours, and not for two."""
QUOTA = MEANS["quota"]
URGENT = {"priorityClassName": "high"}


def limited(**spec: Any) -> GpuTenant:
    """Return the tenant acme."""
    return as_tenant(tenant(priorityClasses=["low", "high", "highest"], **spec))


def asking(
    name: str,
    hours: float | None = 10,
    *,
    start: float | None = None,
    on: str = "west",
    of: str = "acme",
    **spec: Any,
) -> GpuClaim:
    """Return a claim for a node of one of the leases."""
    schedule: dict[str, Any] = {"durationSeconds": int(hours * 3600)} if hours is not None else {}
    if start is not None:
        schedule["startTime"] = format_instant(at(start))
    spec = {"placement": {"leases": {"allow": [on]}}} | spec
    return as_claim(claim(name, of, schedule=schedule, **spec))


def full(count: int = 1, hours: float | None = None, class_name: str = "h100") -> list[GpuClaim]:
    """Return claims of another tenant that hold so many nodes of the west."""
    until_ms = at(hours) if hours is not None else None
    return [
        bound(
            held(
                asking(f"busy{i}", hours, of="globex", class_name=class_name),
                WEST,
                [node],
                tenant_name="globex",
                until_ms=until_ms,
            )
        )
        for i, node in enumerate(nodes(WEST, count))
    ]


def seen(*claims: GpuClaim, who: GpuTenant, count: int = 1, **fields: Any) -> View:
    """Return a view with so many nodes in the west and two in the east."""
    fleet = [(each, inventory(each, nodes(each, n))) for each, n in ((WEST, count), (EAST, 2))]
    accounts = {}
    if who.spec.budget is not None:
        since = period_start(who.spec.budget.period, NOW)
        accounts = {TenantUID(who.metadata.uid): Account(since_ms=since, as_of_ms=NOW)}
    fields = {"classes": CLASSES, "accounts": accounts} | fields
    return view(claims, fleet, tenants=(who, OTHER), priorities={"low": 0, "high": 10}, **fields)


def promised(start: float, hours: float, gpus: int = 8) -> GpuClaim:
    """Return a window in the east that acme was promised."""
    window = asking("window", hours, start=start, on="east", gpus=gpus)
    alone = seen(window, who=limited())
    return after(alone, plan(alone)).claims[0]


def told_to_go(made: Plan) -> list[Extend]:
    ends = [d for d in made.decisions if isinstance(d, Extend)]
    return [d for d in ends if d.until_cause is ReleaseCause.PREEMPTED]


def later(refused: Refuse) -> list[Millis | None]:
    return [o.start_time for o in refused.offers if o.change is OfferKind.LATER]


@pytest.mark.parametrize("means", MEANS.values(), ids=MEANS)
def test_nobody_is_taken_back_for_more_claims_than_there_are_means_for(means):
    urgent = [asking(f"urgent{i}", **URGENT) for i in range(4)]

    made = plan(seen(*full(4, class_name="spot"), *urgent, who=limited(**means), count=4))

    starts = [refusal_of(made, each).estimated_ms for each in urgent]
    assert len(told_to_go(made)) == starts.count(at(1)) == 1


@pytest.mark.parametrize("means", MEANS.values(), ids=MEANS)
def test_of_claims_with_means_for_one_the_others_are_kept_no_start(means):
    mine, other = [asking(f"mine{i}") for i in range(2)], asking("other", None, of="globex")

    made = plan(seen(*full(2, 2), *mine, other, who=limited(**means), count=2))

    assert {refusal_of(made, each).estimated_ms for each in mine} == {at(2), None}
    assert refusal_of(made, other).estimated_ms == at(2)


def test_nobody_is_taken_back_for_a_start_within_its_tenants_own_window():
    who, spot, urgent = limited(**QUOTA), full(class_name="spot"), asking("urgent", 0.5, **URGENT)

    assert told_to_go(plan(seen(*spot, urgent, who=who)))
    assert not told_to_go(plan(seen(*spot, urgent, promised(1, 10), who=who)))


def test_nobody_is_taken_back_for_a_start_whose_means_come_later_than_its_room():
    who = limited(quotas=[{"className": "h100", "gpus": 16}])
    rests = as_lease(lease("east", committed=16, term={"quarantineSeconds": 600}))
    slow = as_class(gpu_class("slow", guarantee="Preemptible", noticeSeconds=7_200))
    fleet = [(WEST, inventory(WEST, nodes(WEST, 1))), (rests, inventory(rests, nodes(rests, 2)))]
    anywhere = {"leases": {"allow": ["west", "east"]}}
    first = asking("first", 1, on="east", gpus=16, priorityClassName="highest")
    second = asking("second", 10, gpus=4, **URGENT | {"placement": anywhere})
    large, small = (
        held(asking(name, None, of="globex", class_name=kind), each, found.nodes.values())
        for name, kind, (each, found) in (("large", "spot", fleet[1]), ("small", "slow", fleet[0]))
    )
    waits = view(
        [large, small, first, second],
        fleet,
        tenants=(who, OTHER),
        classes=(*CLASSES, slow),
        priorities={"low": 0, "high": 10, "highest": 20},
    )

    made = plan(waits)

    assert [d.claim_uid for d in told_to_go(made)] == [large.metadata.uid]
    assert not [d for d in plan(after(waits, made)).decisions if isinstance(d, Extend)]


def test_who_is_told_to_go_may_stay_once_those_who_wait_have_no_means_for_its_nodes():
    urgent = [asking(f"urgent{i}", **URGENT) for i in range(2)]
    rich = seen(*full(2, class_name="spot"), *urgent, who=limited(), count=2)
    told = after(rich, plan(rich))

    made = plan(replace(told, tenants=(limited(**QUOTA), OTHER)))

    assert len(told_to_go(plan(rich))) == 2
    assert [d.until_ms for d in made.decisions if isinstance(d, Extend)] == [None]


def test_nobody_is_kept_off_for_a_start_that_its_holder_cant_have():
    who = limited(quotas=[{"className": "h100", "gpus": 16}])
    mine, other = asking("mine", gpus=16), asking("other", None, of="globex")
    claims = [*full(1, 48), mine, other]

    waits = plan(seen(*claims, who=who, count=2))
    made = plan(seen(*claims, promised(48, 10, gpus=16), who=who, count=2))

    assert refusal_of(waits, mine).estimated_ms == at(48)
    assert refusal_of(waits, other)
    assert refusal_of(made, mine).estimated_ms is None
    assert reserve_of(made, other)


def test_a_start_that_there_are_no_means_for_isnt_offered():
    who, busy, mine = limited(**QUOTA), full(1, 2), asking("mine", 2)

    assert later(refusal_of(plan(seen(*busy, mine, who=who)), mine)) == [at(2)]
    assert later(refusal_of(plan(seen(*busy, mine, promised(3, 10), who=who)), mine)) == []


@pytest.mark.parametrize(("gpus", "offered"), [(8, [at(2)]), (16, [])])
def test_a_quote_is_offered_a_later_start_only_within_the_quota(gpus, offered):
    quote = asking("quote", gpus=gpus, suspended=True)

    made = plan(seen(*full(2, 2), quote, who=limited(**QUOTA), count=2))

    assert later(refusal_of(made, quote)) == offered


def test_a_start_at_a_price_that_a_claim_refuses_is_offered_at_todays_and_not_waited_for():
    dated = [
        {"effectiveTime": LONG_AGO, "perGpuHour": "3.99"},
        {"effectiveTime": format_instant(at(1)), "perGpuHour": "4.99"},
    ]
    classes = (as_class(gpu_class(prices=dated)), *CLASSES[1:])
    mine = asking("mine", maxPricePerGpuHour="4")

    refused = refusal_of(plan(seen(*full(1, 2), mine, who=limited(), classes=classes)), mine)

    assert (refused.estimated_ms, later(refused)) == (None, [at(2)])


def test_what_is_kept_for_a_claim_refuses_no_other_that_could_begin_now():
    waits, begins = asking("waits", **URGENT), asking("begins", on="east")

    made = plan(seen(*full(1, 2), waits, begins, who=limited(**QUOTA)))

    assert refusal_of(made, waits).reason is PendingReason.WAITING_FOR_CAPACITY
    assert refusal_of(made, waits).estimated_ms == at(2)
    assert reserve_of(made, begins)
