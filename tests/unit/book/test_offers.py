"""What a refusal offers instead, each found like a claim; quotes for suspended claims."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim, Schedule
from sublet.api.pending import Offer, OfferKind, PendingReason
from sublet.api.times import format_instant
from sublet.api.topology import Placement
from sublet.book.decisions import Refuse, Reserve
from sublet.book.holdings import holds
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from tests.builders.api import (
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
from tests.builders.fleet import after, held, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.money import CLASSES, account, payer
from tests.builders.windows import ahead, at, promised

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


LIMITED = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": 8}])),)


def timed(lasts: int | None, start: int | None) -> dict[str, object]:
    """Return a schedule in hours."""
    begins = {"startTime": format_instant(at(start))} if start is not None else {}
    return begins | ({"durationSeconds": lasts * 3_600} if lasts is not None else {})


def ending(hours: float, name: str = "west"):
    return as_lease(lease(name, committed=64, end=format_instant(at(hours))))


def test_no_shorter_time_is_offered_for_what_is_beyond_the_quota_at_once():
    asked = as_claim(claim(gpus=16))

    assert OfferKind.SHORTER not in offers(asked, on=fleet(4, ending(9)), tenants=LIMITED)


def test_the_longest_time_is_offered_that_the_quota_has_room_for():
    """From three hours on it is used up by a promise."""
    on = [*fleet(2, ending(8)), *fleet(1, ending(2, "east"))]
    promised_ = promised(ahead("promise", 3, 1, gpus=8), on)

    assert offers(lasting(9, gpus=8), promised_, on=on, tenants=LIMITED)[OfferKind.SHORTER].end_time == at(2)  # fmt: skip


def test_no_shorter_time_is_offered_on_a_lease_whose_isolation_isnt_proven():
    each = ending(9)
    on = [(each, inventory(each, nodes(each, 4), isolation_ready=False))]

    assert not offers(lasting(20), on=on)


def test_several_claims_are_offered_only_within_the_quota():
    racks = [replace(n, clique=f"rack.{i // 2}") for i, n in enumerate(nodes(WEST, 8))]
    on = [(WEST, inventory(WEST, racks))]
    asked = lasting(1, gpus=32, topology={"scope": "NVLinkDomain"})
    quota = [as_tenant(tenant(quotas=[{"className": "h100", "gpus": g}])) for g in (31, 32)]

    assert OfferKind.SPLIT not in offers(asked, on=on, tenants=(quota[0],))
    assert offers(asked, on=on, tenants=(quota[1],))[OfferKind.SPLIT].claims == 2


@pytest.mark.parametrize(("amount", "is_offered"), [("16", True), ("15", False)])
def test_several_claims_are_offered_only_within_the_budget(amount: str, is_offered: bool):
    """Twelve GPUs are two claims of a node of eight each, at one USD an hour for a GPU."""
    asked = lasting(1, gpus=12, topology={"scope": "Node"})
    seen = view([asked], fleet(3), tenants=(payer(amount),), classes=CLASSES)

    made = refusal_of(plan(replace(seen, accounts=account())), asked)

    assert (OfferKind.SPLIT in {o.change for o in made.offers}) is is_offered


def test_several_claims_are_offered_only_where_something_is_sold_now():
    dark = [(WEST, inventory(WEST, nodes(WEST, 3), reach=Reach.UNKNOWN))]

    assert not offers(lasting(1, topology={"scope": "Node"}), on=dark)


def taken_up(asked: GpuClaim, offer: Offer) -> list[GpuClaim]:
    """Return the claims that an offer is about."""
    spec = asked.spec.model_copy(
        update={"gpus": offer.gpus, "class_name": offer.class_name, "min_gpus": None}
    )
    if offer.start_time is not None or offer.end_time is not None:
        start = offer.start_time or spec.schedule.start_time
        lasts = spec.schedule.duration_seconds
        if offer.end_time is not None:
            lasts = (offer.end_time - (start or NOW)) // 1_000
        spec = spec.model_copy(
            update={"schedule": Schedule(start_time=start, duration_seconds=lasts)}
        )
    if offer.change is OfferKind.ELSEWHERE:
        spec = spec.model_copy(update={"placement": Placement()})
    return [
        asked.model_copy(
            update={
                "spec": spec,
                "metadata": asked.metadata.model_copy(update={"name": f"o{i}", "uid": f"o{i}"}),
            }
        )
        for i in range(offer.claims)
    ]


hours = st.sampled_from([None, 1, 2, 3, 5, 8])
fleets = st.lists(
    st.tuples(st.integers(1, 3), hours, st.sampled_from([0, 900]), st.booleans()), min_size=1, max_size=2
)  # fmt: skip
"""Nodes of each lease, when it ends, how many seconds they rest, whether isolation is proven."""
others = st.lists(st.tuples(st.sampled_from([8, 16]), hours, hours), max_size=3)
"""GPUs of claims that came before, how long they last, when they begin."""
wishes = st.sampled_from(
    [{}, {}, {"topology": {"scope": "Node"}}, {"placement": {"leases": {"allow": ["l0"]}}}]
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    fleets, others, st.sampled_from([8, 12, 16, 24, 32]), hours, wishes, st.sampled_from([8, 16, 24, 64])
)  # fmt: skip
def test_whatever_is_offered_binds_when_it_is_taken_up(leases, before, gpus, lasts, wish, quota):
    on = []
    for i, (count, end, rest, is_proven) in enumerate(leases):
        ends = format_instant(at(end)) if end is not None else None
        each = as_lease(lease(f"l{i}", committed=64, end=ends, term={"quarantineSeconds": rest}))
        on.append((each, inventory(each, nodes(each, count), isolation_ready=is_proven)))
    limits = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": quota}])),)
    came = [
        as_claim(claim(f"b{i}", gpus=size, schedule=timed(length, start)))
        for i, (size, length, start) in enumerate(before)
    ]
    seen = view(came, on, tenants=limits)
    seen = after(seen, plan(seen))
    asked = as_claim(claim("asked", gpus=gpus, schedule=timed(lasts, None), **wish))
    seen = replace(seen, claims=tuple(c for c in seen.claims if holds(c)))
    made = plan(replace(seen, claims=(*seen.claims, asked)))
    for refused in (d for d in made.decisions if isinstance(d, Refuse)):
        for offer in refused.offers:
            event(str(offer.change))
            wanted = taken_up(asked, offer)
            then = plan(replace(seen, claims=(*seen.claims, *wanted)))
            given_to = {d.claim_uid for d in then.decisions if isinstance(d, Reserve)}
            assert given_to >= {c.metadata.uid for c in wanted}, offer


def test_the_book_looks_again_when_an_offered_end_is_over():
    each = as_lease(lease("west", committed=64, term={"quarantineSeconds": 900}))
    promised_ = promised(ahead("promise", 3, 1), fleet(2, each))
    seen = view([lasting(9), promised_], fleet(2, each))

    made = plan(seen)

    ends = {o.end_time for o in refusal_of(made, seen.claims[0]).offers} - {None}
    assert ends == {at(2.75)}
    assert made.next_due_ms == at(2.75)


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
