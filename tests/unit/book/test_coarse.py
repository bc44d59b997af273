"""Refusals where tenants must not learn how large the pool is."""

import re

from hypothesis import given, settings

from sublet.api.pending import OfferKind, PendingReason
from sublet.book.coarse import coarsened
from sublet.book.decisions import Refuse
from sublet.book.plan import plan
from tests.builders.api import as_claim, as_class, claim, gpu_class
from tests.builders.fleet import refusal_of, view
from tests.builders.passes import views
from tests.builders.windows import lasting, west

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


def test_sizes_that_fit_nodes_or_need_no_approval_stay():
    limited = as_class(gpu_class(approvalAboveGpus=8))

    assert [o.gpus for o in told(lasting("odd", 1, gpus=12)).offers] == [8, 16]
    assert [o.gpus for o in told(lasting("big", 1), classes=(limited,)).offers] == [8]


def test_a_quote_doesnt_tell_how_much_is_free_either():
    quote = as_claim(claim("quote", gpus=24, suspended=True))

    assert told(quote).message == "the claim is suspended and holds nothing"


@settings(deadline=None, max_examples=50)
@given(views())
def test_no_number_is_told_but_what_was_asked_for(seen):
    for d in plan(seen).decisions:
        if isinstance(d, Refuse) and d.reason not in OWN:
            asked = next(c for c in seen.claims if c.metadata.uid == d.claim_uid)
            message = coarsened(asked, d).message
            assert set(re.findall(r"\d+", message)) <= {str(asked.spec.gpus)}
