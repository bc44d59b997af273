"""What a refused claim is told: the nearest lease's cause in numbers, and nobody's secrets."""

import json
from dataclasses import replace

import pytest

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID
from sublet.api.pending import PendingReason
from sublet.book.inventory import Holding, Reach, Unfit
from sublet.book.plan import plan
from tests.builders.api import as_claim, as_lease, as_tenant, claim, lease, tenant, uid_of
from tests.builders.fleet import inventory, nodes, refusal_of, view

ENDING = "2026-11-23T10:00:00Z"
STRANGER = uid_of("stranger")
BIG = 64


def fleet(*leases: GpuLease, count=2, **fields):
    return [(each, inventory(each, nodes(each, count), **fields)) for each in leases]


def told(leases, spec=None, **fields):
    asked = as_claim(claim(**({"gpus": BIG} | (spec or {}))))
    return refusal_of(plan(view([asked], leases, **fields)), asked)


WEST = as_lease()
SILENT = fleet(as_lease(lease("silent")), reach=Reach.UNKNOWN)
UNPROVEN = fleet(as_lease(lease("unproven")), isolation_ready=False)
LATER = fleet(as_lease(lease("later", term={"startTime": ENDING})))
FAR = fleet(as_lease(lease("far", jurisdiction="US")))
CLOSED = fleet(as_lease(lease("closed", acceptingClaims=False)))
OVER = fleet(as_lease(lease("over", end="2026-11-22T10:00:00Z")))


@pytest.mark.parametrize(
    ("leases", "reason"),
    [
        ([], PendingReason.NO_MATCHING_LEASE),
        (OVER, PendingReason.EXCEEDS_LEASE_TERM),
        (OVER + CLOSED, PendingReason.NO_MATCHING_LEASE),
        (CLOSED + FAR, PendingReason.RESIDENCY_UNMET),
        (FAR + LATER, PendingReason.WAITING_FOR_CAPACITY),
        (LATER + SILENT, PendingReason.LEASE_UNREACHABLE),
        (SILENT + UNPROVEN, PendingReason.WAITING_FOR_CAPACITY),
        (SILENT + fleet(WEST), PendingReason.WAITING_FOR_CAPACITY),
    ],
)
def test_the_nearest_leases_cause_is_the_reason_whatever_the_order(leases, reason):
    spec = {"placement": {"jurisdictions": ["EU"]}}

    assert told(leases, spec).reason is reason
    assert told(leases[::-1], spec) == told(leases, spec)


def test_each_gpu_that_the_tenant_may_use_is_in_the_numbers_once():
    east = as_lease(lease("east"))
    odd = fleet(as_lease(lease("odd")), count=1)
    odd = [(odd[0][0], inventory(odd[0][0], nodes(odd[0][0], 1, gpus=6)))]
    spec = {"placement": {"jurisdictions": ["EU"], "leases": {"deny": ["east"]}}}
    all_leases = [*fleet(WEST, east), *SILENT, *UNPROVEN, *LATER, *FAR, *CLOSED, *OVER, *odd]

    assert told(all_leases, spec).message == (
        "asks for 64 GPUs; 16 of 118 GPUs match; 16 are in US; 16 are left out by placement.leases; "
        "16 take no new claims; 6 are on nodes of a size that doesn't fit; 16 can't be reached now; "
        "16 are not for sale until their isolation is proven; "
        "more are leased from 2026-11-23T10:00:00Z on; 16 are free in 2 chunks of 8"
    )


def test_free_gpus_are_told_by_node():
    each = nodes(WEST, 6)
    taken = [
        replace(
            node, holdings=(Holding(ClaimUID(STRANGER), gpus),), tenant_uid=as_tenant().metadata.uid
        )
        for node, gpus in zip(each[:4], (4, 4, 6, 7), strict=True)
    ]

    said = told([(WEST, inventory(WEST, [*taken, *each[4:]]))]).message

    assert said.endswith("27 are free in 2 chunks of 8, 2 of 4, 1 of 2 and 1 of 1")


def test_free_gpus_that_the_commitment_doesnt_cover_all_the_time_are_told():
    phases = [
        {"commitmentId": "a", "startTime": "2026-01-01T00:00:00Z", "gpus": 16},
        {"commitmentId": "b", "startTime": ENDING, "gpus": 4},
    ]
    ramp = as_lease(lease(commitment={"phases": phases}))

    said = told(fleet(ramp), {"schedule": {"durationSeconds": 2 * 86_400}}).message

    assert said.endswith("16 are free in 2 chunks of 8, 4 of them for the whole time asked for")


def test_nodes_that_cant_be_sold_just_now_are_told():
    sick = nodes(WEST, 1, unfit=Unfit.NOT_READY, prefix="sick")

    said = told([(WEST, inventory(WEST, [*nodes(WEST, 1), *sick]))]).message

    assert "16 of 16 GPUs match; 8 are free in 1 chunk of 8; 8 are not for sale just now" in said


def test_room_that_cant_be_reached_is_told_by_the_aliases_each_once():
    twins = [as_lease(lease(name, tenantAlias="shared")) for name in ("a", "b")]
    leases = fleet(*twins, reach=Reach.UNKNOWN, cluster_uid="one")

    refused = told(leases, {"gpus": 32})

    assert refused.reason is PendingReason.LEASE_UNREACHABLE
    assert refused.message == (
        "asks for 32 GPUs; there is room with shared, which can't be reached now"
    )


def test_a_claim_too_long_for_every_lease_is_told_until_when_the_last_one_runs():
    short = as_lease(lease(end=ENDING))

    refused = told(fleet(short), {"gpus": 8, "schedule": {"durationSeconds": 2 * 86_400}})

    assert refused.reason is PendingReason.EXCEEDS_LEASE_TERM
    assert "can be used until 2026-11-23T10:00:00Z" in refused.message


@pytest.mark.parametrize(
    ("limit", "asked", "hint"),
    [
        (16, 64, "; ask for at most 16, or ask for a larger quota"),
        (0, 8, "; ask for a larger quota"),
    ],
)
def test_a_claim_larger_than_its_quota_isnt_told_to_wait(limit, asked, hint):
    poor = as_tenant(tenant(quotas=[{"className": "h100", "gpus": limit}]))

    refused = told(fleet(WEST), {"gpus": asked}, tenants=(poor,))

    assert refused.reason is PendingReason.EXCEEDS_QUOTA
    assert refused.message.endswith(hint)


def test_no_refusal_names_a_landlord_a_price_of_ours_or_another_tenant():
    """Everything secret about the fleet has a name that can't stand in a text by chance."""
    secret = lease("zz-object", jurisdiction="US", tenantAlias="alias", provider="zz-landlord")
    secret["spec"]["prices"][0]["perGpuHour"] = "77.77"
    rival = as_tenant(tenant("zz-rival", namespaces=("zz-rival",)))
    hidden = lease("zz-hidden", tenantAlias="zz-alias")
    mine = as_tenant(
        tenant(leases={"deny": ["zz-alias"]}, quotas=[{"className": "h100", "gpus": 500}])
    )
    states: tuple[dict[str, object], ...] = (
        {},
        {"reach": Reach.UNKNOWN},
        {"isolation_ready": False},
    )
    specs = (
        {"gpus": 8, "placement": {"jurisdictions": ["EU"]}},
        {"gpus": 16},
        {"gpus": 12},
        {"gpus": 1000},
        {"maxPricePerGpuHour": "1"},
        {"schedule": {"durationSeconds": 600_000_000}},
        {"placement": {"leases": {"deny": ["alias"]}}},
    )
    for change in ({}, {"acceptingClaims": False}, {"term": {"startTime": ENDING}}):
        body = json.loads(json.dumps(secret))
        body["spec"] |= change
        ours = as_lease(body)
        for state in states:
            held_nodes = nodes(ours, 1, held_by=STRANGER, prefix="zz-node")
            seen = [
                (ours, inventory(ours, held_nodes, **state)),
                *fleet(as_lease(hidden)),
            ]
            for spec in specs:
                said = told(seen, spec, tenants=(mine, rival)).message
                assert not [w for w in ("zz-", "77", "2.35", STRANGER) if w in said], said
