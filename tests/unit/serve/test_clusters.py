"""The clusters behind, as a scrape shows them."""

from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.fleet.facts import ClusterHealth
from sublet.serve.clusters import cluster_families
from tests.builders.api import NOW, as_lease, lease, with_status
from tests.builders.moves import left
from tests.builders.sales import given_back, sold

MINUTE = 60_000
HOUR_AGO = Millis(NOW - 60 * MINUTE)
WEST = as_lease(lease("west", term={"quarantineSeconds": 1_800}))
EAST = as_lease(lease("east"))


class Seen:
    """West answers and its clock is a minute ahead; east never did."""

    def __init__(self, *claims: GpuClaim) -> None:
        self._claims = claims

    def claims(self) -> tuple[GpuClaim, ...]:
        return self._claims

    def leases(self) -> tuple[GpuLease, ...]:
        return WEST, EAST

    def cluster(self, uid: LeaseUID) -> ClusterHealth:
        if uid == WEST.metadata.uid:
            return ClusterHealth(reachable=True, stale_seconds=2.0, clock_ahead_seconds=60)
        return ClusterHealth(reachable=False, stale_seconds=float("inf"))

    def hub_ahead_seconds(self) -> int | None:
        return -3


def samples(*claims: GpuClaim) -> dict[tuple[str, ...], float]:
    """Return (series, values of the labels) -> value."""
    seen: Any = Seen(*claims)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in cluster_families(seen, NOW)
        for sample in family.samples
    }


def test_who_answers_and_how_fresh_it_is():
    found = samples()

    assert found["sublet_cluster_reachable", "west"] == 1
    assert found["sublet_cluster_reachable", "east"] == 0
    assert found["sublet_cluster_stale_seconds", "west"] == 2


def test_a_clock_that_nobody_knows_is_absent():
    found = samples()

    assert found["sublet_cluster_clock_ahead_seconds", "west"] == 60
    assert ("sublet_cluster_clock_ahead_seconds", "east") not in found
    assert found["sublet_hub_clock_ahead_seconds",] == -3


def test_the_oldest_release_of_a_lease_is_shown_and_bound_claims_are_none():
    older, newer = Millis(NOW - 7_200_000), Millis(NOW - 60_000)
    found = samples(
        given_back(sold("a", WEST, 8), newer),
        given_back(sold("b", WEST, 8), older),
        sold("c", EAST, 8),
    )

    assert found["sublet_lease_releasing_since_timestamp_seconds", "west"] == older / 1000
    assert ("sublet_lease_releasing_since_timestamp_seconds", "east") not in found


def leaving(**fields: Any) -> GpuClaim:
    """Return a bound claim that left a node of west an hour ago."""
    claim = sold("d", EAST, 8)
    places = allocation_of(sold("d", WEST, 8)).placements
    behind = left(places, bound_time=HOUR_AGO, release_time=HOUR_AGO, **fields)
    return with_status(claim, leaving=(behind,))


def test_nodes_that_a_bound_claim_left_and_that_arent_free_are_a_release_of_their_lease():
    found = samples(leaving())

    assert found["sublet_lease_releasing_since_timestamp_seconds", "west"] == HOUR_AGO / 1000
    assert ("sublet_lease_releasing_since_timestamp_seconds", "east") not in found


def releasing(vacated_ms: Millis) -> GpuClaim:
    """Return a claim whose release began an hour ago, and whose last pod is gone."""
    claim = given_back(sold("a", WEST, 8), HOUR_AGO)
    release = claim.status.release.model_copy(update={"vacated_time": vacated_ms})
    return claim.model_copy(update={"status": claim.status.model_copy(update={"release": release})})


RESTS, RESTED = Millis(NOW - 29 * MINUTE), Millis(NOW - 50 * MINUTE)


@pytest.mark.parametrize(
    "claim",
    [
        leaving(vacated_time=RESTS),
        leaving(vacated_time=RESTED, freed_time=NOW),
        releasing(RESTS),
    ],
    ids=["left, rests", "left, free", "released, rests"],
)
def test_nodes_that_rest_or_are_free_are_no_release_that_hangs(claim: GpuClaim):
    assert ("sublet_lease_releasing_since_timestamp_seconds", "west") not in samples(claim)


@pytest.mark.parametrize(
    "claim", [leaving(vacated_time=RESTED), releasing(RESTED)], ids=["left", "released"]
)
def test_nodes_that_rested_and_are_still_held_hang_since_their_rest_was_over(claim: GpuClaim):
    found = samples(claim)

    since = (RESTED + 30 * MINUTE) / 1000
    assert found["sublet_lease_releasing_since_timestamp_seconds", "west"] == since
