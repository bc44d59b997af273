"""Refusals where tenants must not learn how large the pool is."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings

from sublet.api.pending import NOT_LOOKED_AT, OfferKind, PendingReason
from sublet.book.coarse import coarsened
from sublet.book.decisions import Refuse
from sublet.book.plan import plan
from tests.builders.api import as_claim, as_class, claim, gpu_class
from tests.builders.fleet import bound, held, nodes, refusal_of, view
from tests.builders.passes import views
from tests.builders.windows import WEST, lasting, west

OWN = {PendingReason.EXCEEDS_QUOTA, PendingReason.PRICE_UNMET, PendingReason.MISCONFIGURED}
OWN |= {PendingReason.TOPOLOGY_UNFIT, PendingReason.NO_TENANT}


def told(asked, on=None, **fields) -> Refuse:
    return coarsened(asked, refusal_of(plan(view([asked], on or west(), **fields)), asked))


def test_the_reason_stays_and_the_counts_go():
    asked = lasting("train", 1, gpus=24)

    refused = told(asked)

    assert refused.reason is PendingReason.WAITING_FOR_CAPACITY
    assert refused.message == "asks for 24 GPUs; they aren't free together for the whole time asked for"  # fmt: skip
    assert OfferKind.OTHER_SIZE not in {o.change for o in refused.offers}


def test_the_next_larger_size_that_fits_nodes_stays():
    assert [o.gpus for o in told(lasting("odd", 1, gpus=12)).offers] == [16]


@pytest.mark.parametrize("busy", [3, 6])
def test_no_smaller_size_tells_how_much_of_a_node_is_free(busy):
    on = west(1)
    holder = bound(held(as_claim(claim("in", gpus=busy)), WEST, nodes(WEST, 1)))
    places = [p.model_copy(update={"gpus": busy}) for p in holder.status.allocation.placements]
    allocation = holder.status.allocation.model_copy(update={"placements": tuple(places)})
    status = holder.status.model_copy(update={"allocation": allocation})
    holder = holder.model_copy(update={"status": status})
    limited = as_class(gpu_class(approvalAboveGpus=8))
    for asked, classes in ((lasting("odd", 1, gpus=12), ()), (lasting("big", 1), (limited,))):
        seen = view([asked, holder], on, **({"classes": classes} if classes else {}))
        refused = refusal_of(plan(seen), asked)
        assert [o.gpus for o in refused.offers if o.gpus == 8 - busy]
        offers = coarsened(asked, refused).offers
        assert [o for o in offers if o.change is OfferKind.OTHER_SIZE and o.gpus < 12] == []


def test_a_quote_doesnt_tell_how_much_is_free_either():
    quote = as_claim(claim("quote", gpus=24, suspended=True))

    assert told(quote).message == "the claim is suspended and holds nothing"


def test_that_nobody_has_looked_yet_is_said_in_coarse_words_too():
    quote = as_claim(claim("quote", suspended=True))
    refused = refusal_of(plan(view([quote], west())), quote)
    waits = replace(refused, message=f"{refused.message}{NOT_LOOKED_AT}")

    assert coarsened(quote, waits).message.endswith(NOT_LOOKED_AT)


@settings(deadline=None, max_examples=50)
@given(views())
def test_no_number_is_told_but_what_was_asked_for(seen):
    for d in plan(seen).decisions:
        if isinstance(d, Refuse) and d.reason not in OWN:
            asked = next(c for c in seen.claims if c.metadata.uid == d.claim_uid)
            message = coarsened(asked, d).message
            assert set(re.findall(r"\d+", message)) <= {str(asked.spec.gpus)}
