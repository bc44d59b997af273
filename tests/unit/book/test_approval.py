"""Claims that are too large for their class without a person's approval."""

from dataclasses import replace

from sublet.api import claim_status
from sublet.api.common import Status, find_condition
from sublet.api.ids import ClaimUID
from sublet.api.pending import OfferKind, Pending, PendingReason
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import after, inventory, nodes, refusal_of, reserve_of, view

WEST = as_lease(lease("west", committed=64))
CLASS = as_class(gpu_class(approvalAboveGpus=20))
LARGE = as_claim(claim("large", gpus=32))


def seen(*claims, **fields):
    on = [(WEST, inventory(WEST, nodes(WEST, 8)))]
    return view(claims, on, classes=(CLASS,), **fields)


def approved(each, gpus):
    return seen(each, approved={ClaimUID(each.metadata.uid): gpus})


def test_a_claim_within_the_limit_needs_no_approval():
    small = as_claim(claim("small", gpus=16))

    assert reserve_of(plan(seen(small)), small).placements


def test_a_larger_one_waits_and_is_offered_the_largest_size_that_needs_none():
    refused = refusal_of(plan(seen(LARGE)), LARGE)

    assert refused.reason is PendingReason.WAITING_FOR_APPROVAL
    assert [(o.change, o.gpus) for o in refused.offers] == [(OfferKind.OTHER_SIZE, 16)]


def test_it_is_stalled_until_somebody_acts():
    status = claim_status.waiting(
        LARGE, Pending(reason=PendingReason.WAITING_FOR_APPROVAL, message="m"), NOW
    )

    stalled = find_condition(status.conditions, "Stalled")
    assert stalled is not None
    assert stalled.status is Status.TRUE
    assert find_condition(status.conditions, "Reconciling") is None


def test_an_approval_lets_it_in_and_one_of_fewer_gpus_doesnt():
    assert reserve_of(plan(approved(LARGE, 32)), LARGE).placements
    assert refusal_of(plan(approved(LARGE, 31)), LARGE).reason is PendingReason.WAITING_FOR_APPROVAL


def test_what_was_reserved_stays_when_the_approval_is_taken_back():
    before = approved(LARGE, 32)
    (reserved,) = after(before, plan(before)).claims

    assert plan(seen(reserved)).decisions == ()


def test_a_quote_says_that_approval_would_be_needed():
    quote = as_claim(claim("quote", gpus=32, suspended=True))

    refused = refusal_of(plan(seen(quote)), quote)

    assert refused.reason is PendingReason.SUSPENDED
    assert "only when somebody has approved" in refused.message
    assert [o.gpus for o in refused.offers] == [16]


def test_no_offer_is_of_a_size_that_would_need_approval():
    odd = as_claim(claim("odd", gpus=20))

    sizes = {o.gpus for o in refusal_of(plan(seen(odd)), odd).offers}

    assert sizes == {16}  # 24 fits nodes too


def test_another_class_that_needs_an_approval_too_is_no_offer():
    none_left = as_class(gpu_class(approvalAboveGpus=20, products=("NVIDIA-H200",)))
    other = as_class(gpu_class("other", approvalAboveGpus=20))
    free = as_class(gpu_class("free"))
    said = {ClaimUID(LARGE.metadata.uid): 32}
    found = replace(seen(LARGE, approved=said), classes=(none_left, other, free))

    refused = refusal_of(plan(found), LARGE)

    assert [o.class_name for o in refused.offers if o.change is OfferKind.OTHER_CLASS] == ["free"]
