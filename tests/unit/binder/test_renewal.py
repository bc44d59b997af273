"""One cluster that answers nonsense costs the tenant nothing in the others."""

from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.common import find_condition
from sublet.api.gpuclaim import Access
from sublet.binder.access import renewal_ms
from sublet.binder.ports import ClusterSilent
from tests.builders.moves import leased, running
from tests.builders.renewals import Setup, claim_on_both, minted


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": None},
        {"status": []},
        {"status": {"token": "t"}},
        minted(end=7),
        minted(end="soon"),
        minted(end="0001-01-01T00:00:00+14:00"),
        minted(end="9999-12-31T23:59:59-14:00"),
        minted(token=None),
        minted(token=""),
        minted(token="two\nlines"),
        minted(token="t" * 10_000),
        {**minted(), "spec": "text"},
    ],
)
async def test_a_token_that_is_none_leaves_out_its_own_cluster_alone(answer: Any):
    setup = Setup("west", "east")
    setup.api("east").minted = answer
    access = await setup.renew()

    assert setup.hub.live is not None
    said = find_condition(setup.hub.live.status.conditions, "AccessRenewed")
    assert said is not None
    assert "access to east" in said.message
    assert "access to west" not in said.message
    assert [c.alias for c in access.clusters] == ["west", "east"]
    assert [alias for _, alias in setup.grants] == ["west"]


async def test_of_a_cluster_that_the_claim_left_no_access_is_said_though_the_other_is_silent():
    both = claim_on_both()
    held = allocation_of(both)
    there = tuple(p.model_copy(update={"home": 2}) for p in held.placements if p.lease == "east")
    moved = held.model_copy(update={"placements": there, "sequence": 2})
    status = both.status.model_copy(update={"allocation": moved})
    setup = Setup("west", claim=both.model_copy(update={"status": status}))
    with pytest.raises(ClusterSilent):
        await setup.renew()

    assert setup.hub.live is not None
    said = find_condition(setup.hub.live.status.conditions, "AccessRenewed")
    assert said is not None
    assert "access to west" not in said.message
    access = setup.hub.live.status.access
    assert access is not None
    assert [c.alias for c in access.clusters] == ["east"]


def test_a_kubeconfig_of_no_cluster_has_nothing_to_renew():
    claim = running(leased("west"))
    access = Access.model_construct(secret_name="x", clusters=(), renewal_time=None)
    status = claim.status.model_copy(update={"access": access})
    assert renewal_ms(claim.model_copy(update={"status": status}), 600) is None
