"""What a claim agrees to when it is reserved stays; a floating price follows its class, and whoever set a limit is told."""

from dataclasses import replace

import pytest

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclass import Pricing
from sublet.api.times import Millis, format_instant
from sublet.book.floating import ABOVE, WITHIN
from sublet.book.plan import plan
from tests.builders.api import LONG_AGO, NOW, as_claim, as_class, claim, gpu_class
from tests.builders.fleet import after, bound, carried_out, reserve_of, view
from tests.builders.moves import leased

HOUR = 3_600_000
ROUNDING = {"roundUpToSeconds": 60, "minimumAmount": "1.5"}
SLA = {"graceSeconds": 300, "creditPercent": 200}


def floats(*later: tuple[int, str], **spec):
    """Return the class with prices from so many hours after NOW on."""
    dated = [(LONG_AGO, "3.99"), *((format_instant(Millis(NOW + h * HOUR)), p) for h, p in later)]
    prices = [{"effectiveTime": at, "perGpuHour": price} for at, price in dated]
    return as_class(gpu_class(pricing="Floating", prices=prices, **spec))


def seen_with(offer, *claims, hours: int = 0):
    return view(claims, [leased("west")], classes=(offer,), now_ms=Millis(NOW + hours * HOUR))


def served(offer, **spec):
    """Return a claim that was bound now."""
    seen = seen_with(offer, as_claim(claim(**spec)))
    (asked,) = seen.claims
    return bound(carried_out(asked, reserve_of(plan(seen), asked)))


def test_terms_of_the_class_are_copied_at_reservation():
    share = {"cpuPerGpu": 8, "memoryMiBPerGpu": 1_024}
    offer = as_class(gpu_class(rounding=ROUNDING, sla=SLA, hostShare=share))
    held = served(offer).status.allocation

    assert (held.class_name, held.class_uid) == ("h100", offer.metadata.uid)
    assert (held.rounding, held.sla) == (offer.spec.rounding, offer.spec.sla)
    assert (held.host_share, held.host_share_noted) == (offer.spec.host_share, True)
    assert held.pricing is Pricing.FIXED


def test_what_a_class_says_in_fields_of_a_newer_version_is_agreed_by_nobody():
    share = {"cpuPerGpu": 8, "memoryMiBPerGpu": 1_024, "newer": 1}
    cancellation = {"freeBeforeStartSeconds": 0, "chargePercent": 50, "newer": 1}
    terms = {"rounding": {**ROUNDING, "newer": 1}, "sla": {**SLA, "newer": 1}, "hostShare": share}
    offer = as_class(gpu_class(**terms, cancellation=cancellation))
    start = format_instant(Millis(NOW + HOUR))
    seen = seen_with(
        offer, as_claim(claim(schedule={"startTime": start, "durationSeconds": 3_600}))
    )
    held = after(seen, plan(seen)).claims[0].status.allocation

    agreed = (held.rounding, held.sla, held.host_share, held.cancellation)
    assert [each.model_extra for each in agreed] == [{}, {}, {}, {}]


@pytest.mark.parametrize(
    ("spec", "pricing"),
    [({}, Pricing.FLOATING), ({"schedule": {"durationSeconds": 3600}}, Pricing.FIXED)],
)
def test_the_price_floats_only_where_no_duration_was_asked_for(spec, pricing):
    assert served(floats(), **spec).status.allocation.pricing is pricing


def test_a_promise_that_becomes_nodes_keeps_what_was_agreed_though_the_class_changed():
    share = {"cpuPerGpu": 8, "memoryMiBPerGpu": 1_024}
    offer = floats(rounding=ROUNDING, sla=SLA, hostShare=share)
    start = format_instant(Millis(NOW + HOUR))
    seen = seen_with(offer, as_claim(claim(schedule={"startTime": start})))
    promised = after(seen, plan(seen)).claims[0]
    before = promised.status.allocation
    later = seen_with(as_class(gpu_class(sla={"creditPercent": 1})), promised, hours=1)

    held = after(later, plan(later)).claims[0].status.allocation

    assert held.placements
    assert (held.pricing, held.rounding, held.sla, held.host_share) == (
        Pricing.FLOATING, before.rounding, before.sla, offer.spec.host_share,
    )  # fmt: skip


def told(offer, train, hours: int):
    seen = seen_with(offer, train, hours=hours)
    return after(seen, plan(seen)).claims[0]


def test_a_claim_whose_price_rises_above_its_limit_is_told_and_goes_on():
    offer = floats((2, "5.00"), (4, "3.00"))
    train = served(offer, maxPricePerGpuHour="4")
    assert plan(seen_with(offer, train, hours=1)).next_due_ms == NOW + 2 * HOUR

    train = told(offer, train, 2)
    said = find_condition(train.status.conditions, "PriceExceeded")
    assert (said.status, said.reason) == ("True", ABOVE)
    assert (
        "is 5.00 USD per GPU-hour since 2026-11-22T12:00:00Z, above maxPricePerGpuHour 4"
        in said.message
    )
    assert is_true(train.status.conditions, "Bound")
    assert is_true(train.status.conditions, "Ready")
    assert plan(seen_with(offer, train, hours=3)).decisions == ()

    train = told(offer, train, 4)
    said = find_condition(train.status.conditions, "PriceExceeded")
    assert (said.status, said.reason) == ("False", WITHIN)
    assert plan(seen_with(offer, train, hours=5)).decisions == ()


@pytest.mark.parametrize(
    "spec",
    [{}, {"maxPricePerGpuHour": "4", "schedule": {"durationSeconds": 36_000}}],
    ids=["no limit", "fixed"],
)
def test_whoever_set_no_limit_or_keeps_its_price_is_told_nothing(spec):
    offer = floats((2, "5.00"))

    assert plan(seen_with(offer, served(offer, **spec), hours=2)).decisions == ()


def test_a_class_that_is_gone_says_nothing_of_prices():
    offer = floats((2, "5.00"))
    seen = seen_with(offer, served(offer, maxPricePerGpuHour="4"), hours=2)

    assert plan(replace(seen, classes=())).decisions == ()
