"""A suspended tenant holds nothing, is promised nothing and waits; the others don't notice."""

import pytest

from sublet.api.common import find_condition
from sublet.api.pending import PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.book.decisions import Reserve, Take
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_tenant, claim, tenant
from tests.builders.fleet import carried_out, refusal_of, released, reserve_of, view
from tests.builders.windows import ahead, lasting, west

STOPPED = as_tenant(tenant(suspended=True))
OTHER = as_tenant(tenant("globex", namespaces=("globex",)))


def held(each):
    return carried_out(each, reserve_of(plan(view([each], west())), each))


@pytest.mark.parametrize("each", [lasting("runs", 5, 8), ahead("window", 2, 5)])
def test_what_it_holds_and_what_it_was_promised_is_given_back(each):
    made = plan(view([held(each)], west(), tenants=(STOPPED,)))

    assert made.decisions == (Take(each.metadata.uid, ReleaseCause.TENANT_SUSPENDED, NOW),)


def test_others_keep_theirs_and_get_what_is_free():
    mine, asks = lasting("runs", 5, 8), as_claim(claim("asks", "globex", gpus=8))

    made = plan(view([held(mine), asks], west(), tenants=(STOPPED, OTHER)))

    assert [type(d) for d in made.decisions] == [Take, Reserve]


def test_a_claim_that_was_deleted_has_that_cause():
    gone = held(lasting("runs", 5, 8))
    meta = gone.metadata.model_copy(update={"deletion_timestamp": NOW - 5})
    gone = gone.model_copy(update={"metadata": meta})

    (taken,) = plan(view([gone], west(), tenants=(STOPPED,))).decisions

    assert taken.cause is ReleaseCause.DELETED


def test_claims_wait_until_the_tenant_is_back():
    runs = held(lasting("runs", 5, 8))
    (taken,) = plan(view([runs], west(), tenants=(STOPPED,))).decisions
    waits = released(runs, taken)

    refused = refusal_of(plan(view([waits], west(), tenants=(STOPPED,))), waits)

    assert (refused.reason, refused.offers) == (PendingReason.SUSPENDED, ())
    assert refused.message.startswith("the platform team has suspended the tenant")
    assert not find_condition(waits.status.conditions, "Ended")
    assert reserve_of(plan(view([waits], west())), waits).sequence == 2


def test_its_claims_take_nobody_elses_quote_away():
    mine = [as_claim(claim(f"mine{i}", gpus=8)) for i in range(200)]
    quotes = [as_claim(claim(f"quote{i}", "globex", gpus=8, suspended=True)) for i in range(8)]

    made = plan(view([*mine, *quotes], west(), tenants=(STOPPED, OTHER)))

    assert all(refusal_of(made, quote).offers for quote in quotes)
