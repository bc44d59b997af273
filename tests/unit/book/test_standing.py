"""How near a lease is to serving a claim: one constraint broken at a time, and which of two is named."""

from dataclasses import replace

import pytest

from sublet.api.ids import LeaseUID
from sublet.book.demand import Demand, Rules
from sublet.book.holdings import Holdings
from sublet.book.inventory import LeaseInventory, Reach
from sublet.book.standing import Standing, Standings, standing_of
from sublet.book.supply import LeaseSupply
from tests.builders.api import NOW, as_claim, as_lease, as_tenant, claim, lease, tenant
from tests.builders.fleet import inventory, nodes, view

DAY = 86_400
ENDING = "2026-11-23T10:00:00Z"
"""A day from now."""


def demand_of(spec=None, **limits) -> Demand:
    seen = view([], [], tenants=(as_tenant(tenant(**limits)),))
    found = Rules(seen).read(as_claim(claim(**(spec or {}))))
    assert isinstance(found, Demand)
    return found


def supply_of(each, *, count=2, **fields) -> LeaseSupply:
    found = inventory(each, nodes(each, count), **fields)
    return LeaseSupply(each, found, Holdings([], [found], NOW), NOW)


@pytest.mark.parametrize(
    ("each", "spec", "expected"),
    [
        (lease(), {}, Standing.OPEN),
        (lease(product="NVIDIA-H200"), {}, Standing.HIDDEN),
        (lease(end="2026-11-22T10:00:00Z"), {}, Standing.OVER),
        (lease(acceptingClaims=False), {}, Standing.CLOSED),
        (lease(), {"placement": {"leases": {"deny": ["west"]}}}, Standing.EXCLUDED),
        (lease(), {"placement": {"leases": {"allow": ["east"]}}}, Standing.EXCLUDED),
        (lease(), {"placement": {"jurisdictions": ["US"]}}, Standing.ELSEWHERE),
        (lease(), {"placement": {"regions": ["r2"]}}, Standing.ELSEWHERE),
        (lease(end=ENDING), {"schedule": {"durationSeconds": DAY + 1}}, Standing.TOO_SHORT),
        (lease(end=ENDING), {"schedule": {"durationSeconds": DAY}}, Standing.OPEN),
        (lease(end=ENDING), {}, Standing.OPEN),
        (lease(), {"gpus": 12}, Standing.UNFIT),
        (lease(term={"startTime": ENDING}), {}, Standing.LATER),
    ],
)
def test_a_lease_stands_where_its_first_broken_constraint_puts_it(each, spec, expected):
    assert standing_of(demand_of(spec), supply_of(as_lease(each))) is expected


@pytest.mark.parametrize("own", [[], ["EU"], ["EU", "US"]])
def test_no_claim_widens_the_jurisdictions_of_its_tenant(own):
    demand = demand_of({"placement": {"jurisdictions": own}}, jurisdictions=["EU"])
    eu, us = (supply_of(as_lease(lease(jurisdiction=there))) for there in ("EU", "US"))

    assert (standing_of(demand, eu), standing_of(demand, us)) == (Standing.OPEN, Standing.ELSEWHERE)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reach": Reach.UNKNOWN}, Standing.SILENT),
        ({"reach": Reach.UNREACHABLE}, Standing.SILENT),
        ({"synced": False}, Standing.SILENT),
        ({"isolation_ready": False}, Standing.UNPROVEN),
        ({"reach": Reach.UNKNOWN, "isolation_ready": False}, Standing.SILENT),
    ],
)
def test_what_a_repair_will_mend_is_told_from_what_it_wont(fields, expected):
    assert standing_of(demand_of(), supply_of(as_lease(), **fields)) is expected


def test_a_lease_that_is_being_deleted_takes_no_new_claims():
    going = as_lease(deletionTimestamp="2026-11-22T09:30:00Z")

    assert standing_of(demand_of(), supply_of(going)) is Standing.CLOSED


def test_a_lease_kept_from_a_tenant_isnt_seen_whatever_else_is_wrong_with_it():
    kept = demand_of({"placement": {"regions": ["r2"]}}, leases={"deny": ["west"]})

    assert standing_of(kept, supply_of(as_lease())) is Standing.HIDDEN


def test_what_no_time_will_mend_is_named_before_what_time_will():
    later = as_lease(lease(jurisdiction="US", term={"startTime": ENDING}))
    demand = demand_of({"placement": {"jurisdictions": ["EU"]}})

    assert standing_of(demand, supply_of(later)) is Standing.ELSEWHERE


def test_a_lease_that_begins_later_is_too_short_if_the_claim_couldnt_end_in_it():
    """It runs for an hour, a day from now."""
    later = as_lease(lease(end="2026-11-23T11:00:00Z", term={"startTime": ENDING}))

    for seconds, expected in ((3_600, Standing.LATER), (3_601, Standing.TOO_SHORT)):
        demand = demand_of({"schedule": {"durationSeconds": seconds}})
        assert standing_of(demand, supply_of(later)) is expected


def test_a_lease_whose_nodes_are_unknown_isnt_unfit():
    blind = LeaseInventory(LeaseUID(as_lease().metadata.uid))
    supply = LeaseSupply(as_lease(), blind, Holdings([], [], NOW), NOW)

    assert standing_of(demand_of({"gpus": 12}), supply) is Standing.SILENT


def test_leases_are_counted_by_their_standing():
    west = supply_of(as_lease())
    far = supply_of(as_lease(lease("far", jurisdiction="US")), count=3)
    found = Standings(demand_of({"placement": {"jurisdictions": ["EU"]}}), [west, far])

    assert found.of(Standing.OPEN) == [west]
    assert [found.gpus(s) for s in (Standing.OPEN, Standing.ELSEWHERE, Standing.LATER)] == [
        16,
        24,
        0,
    ]


def test_nodes_that_arent_what_was_leased_dont_count():
    found = inventory(as_lease(), nodes(as_lease(), 2))
    first, second = found.nodes.values()
    mixed = replace(found, nodes={n.name: n for n in (first, replace(second, gpus=0))})
    supply = LeaseSupply(as_lease(), mixed, Holdings([], [], NOW), NOW)

    assert (supply.gpus, supply.sizes) == (8, frozenset({8}))
