"""What a refusal offers instead, each found like a claim; quotes for suspended claims."""

from sublet.api.pending import OfferKind, PendingReason
from sublet.book.plan import plan
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
from tests.builders.fleet import after, held, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.windows import at

WEST = as_lease(lease("west", committed=64))
H200 = "NVIDIA-H200"


def fleet(count: int = 2, each=WEST, **fields):
    return [(each, inventory(each, nodes(each, count, **fields)))]


def busy(count: int, hours: float | None, each=WEST):
    """Return a claim that holds the first nodes of a lease."""
    spec = {"schedule": {"durationSeconds": int(hours * 3600)}} if hours is not None else {}
    until = at(hours) if hours is not None else None
    return held(
        as_claim(claim("busy", gpus=8 * count, **spec)), each, nodes(each, count), until_ms=until
    )


def offers(asked, *others, on=None, **fields):
    """Return kind -> offer of what a claim is offered."""
    made = plan(view([asked, *others], on or fleet(), **fields))
    return {offer.change: offer for offer in refusal_of(made, asked).offers}


def lasting(hours: float, gpus: int = 16, **spec):
    return as_claim(claim(gpus=gpus, schedule={"durationSeconds": int(hours * 3600)}, **spec))


def test_a_later_start_and_a_smaller_number():
    found = offers(lasting(1), busy(1, 2))

    assert found[OfferKind.LATER].start_time == at(2)
    assert found[OfferKind.OTHER_SIZE].gpus == 8
    assert found[OfferKind.OTHER_SIZE].start_time is None


def test_an_earlier_end():
    promise = as_claim(
        claim(
            "ahead",
            gpus=16,
            schedule={"startTime": "2026-11-22T13:00:00Z", "durationSeconds": 3600},
        )
    )
    seen = view([promise], fleet())
    (promised,) = after(seen, plan(seen)).claims

    assert offers(lasting(9), promised)[OfferKind.SHORTER].end_time == at(3)


def test_another_place():
    us = as_lease(lease("far", committed=64, jurisdiction="US"))
    on = [*fleet(0), *fleet(2, us)]

    found = offers(lasting(1, placement={"jurisdictions": ["EU"]}), on=on)

    assert found[OfferKind.ELSEWHERE].jurisdictions == ("US",)


def test_another_class_that_the_tenant_may_claim():
    other = as_lease(lease("other", product=H200, committed=64))
    classes = (as_class(), as_class(gpu_class("h200", products=(H200,), price="4.80")))
    on = [*fleet(0), *fleet(2, other)]

    found = offers(lasting(1), on=on, classes=classes)[OfferKind.OTHER_CLASS]

    assert (found.class_name, str(found.price_per_gpu_hour)) == ("h200", "4.80")
    barred = (as_tenant(tenant(classes={"deny": ["h200"]})),)
    assert OfferKind.OTHER_CLASS not in offers(lasting(1), on=on, classes=classes, tenants=barred)


def test_a_higher_price():
    found = offers(lasting(1, maxPricePerGpuHour="3.00"))

    assert str(found[OfferKind.HIGHER_PRICE].price_per_gpu_hour) == "3.99"


def test_the_two_nearest_sizes_where_nodes_dont_divide():
    made = plan(view([asked := lasting(1, gpus=12)], fleet(4)))

    refused = refusal_of(made, asked)
    assert refused.reason is PendingReason.TOPOLOGY_UNFIT
    assert [o.gpus for o in refused.offers if o.change is OfferKind.OTHER_SIZE] == [8, 16]


def test_several_claims_for_what_one_node_hasnt():
    found = offers(lasting(1, topology={"scope": "Node"}), on=fleet(3))[OfferKind.SPLIT]

    assert (found.claims, found.gpus) == (2, 8)


def test_no_offer_goes_beyond_the_quota():
    limited = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": 8}])),)

    found = offers(lasting(1), on=fleet(4), tenants=limited)

    assert set(found) <= {OfferKind.OTHER_SIZE}
    assert all(o.gpus <= 8 for o in found.values())


def test_a_suspended_claim_is_a_quote_and_holds_nothing():
    asked, other = lasting(1, suspended=True), as_claim(claim("other", gpus=16))

    made = plan(view([asked, other], fleet(4)))

    quoted = refusal_of(made, asked)
    assert quoted.reason is PendingReason.SUSPENDED
    assert [o.change for o in quoted.offers] == [OfferKind.AS_ASKED]
    assert len(made.decisions) == 2


def test_a_quote_for_what_isnt_there_is_answered_like_a_claim():
    found = offers(lasting(1, suspended=True), busy(2, 2))

    assert found[OfferKind.LATER].start_time == at(2)
    assert OfferKind.AS_ASKED not in found


def test_a_claim_beyond_what_one_can_hold_is_split():
    large = as_lease(lease("large", committed=40_000))

    found = offers(lasting(1, gpus=33_600), on=fleet(4_200, large))[OfferKind.SPLIT]

    assert (found.claims, found.gpus) == (2, 16_800)


def test_a_claim_that_takes_a_part_gets_the_largest_there_is_and_not_less_than_its_least():
    some, too_much = lasting(1, gpus=32, minGpus=8), lasting(1, gpus=32, minGpus=24)

    given = reserve_of(plan(view([some], fleet(2))), some)

    assert sum(p.gpus for p in given.placements) == 16
    assert refusal_of(plan(view([too_much], fleet(2))), too_much)


def test_a_part_stays_within_the_quota():
    limited = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": 8}])),)
    some = lasting(1, gpus=32, minGpus=8)

    given = reserve_of(plan(view([some], fleet(4), tenants=limited)), some)

    assert sum(p.gpus for p in given.placements) == 8
