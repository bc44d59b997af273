"""Coverage as a scrape shows it."""

from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.serve.coverage import coverage_families
from tests.builders.api import NOW, as_lease, lease
from tests.builders.sales import sold

WEST = as_lease(lease("west", committed=16))
EAST = as_lease(lease("east", committed=8, mode="PayAsYouGo"))


class Seen:
    """What the operator has in memory."""

    def __init__(self, claims: tuple[GpuClaim, ...], leases: tuple[GpuLease, ...]) -> None:
        self._claims, self._leases = claims, leases

    def claims(self) -> tuple[GpuClaim, ...]:
        return self._claims

    def leases(self) -> tuple[GpuLease, ...]:
        return self._leases

    def classes(self) -> tuple[Any, ...]:
        return ()


def samples(*claims: GpuClaim, leases=(WEST, EAST)) -> dict[tuple[str, ...], float]:
    """Return (series without its prefix, values of the labels) -> value."""
    seen: Any = Seen(claims, leases)
    return {
        (sample.name.removeprefix("sublet_lease_"), *sample.labels.values()): sample.value
        for family in coverage_families(seen, NOW)
        for sample in family.samples
    }


def test_each_lease_shows_what_is_committed_used_unsold_and_uncovered():
    found = samples(sold("a", WEST, 24))

    names = ("committed_gpus", "used_gpus", "unsold_gpus", "uncovered_gpus")
    assert [found[name, "west"] for name in names] == [16, 24, 0, 8]
    assert [found[name, "east"] for name in names] == [8, 0, 8, 0]


def test_revenue_and_cost_are_per_hour_and_by_currency():
    found = samples(sold("a", WEST, 8), sold("b", WEST, 4, currency="EUR"))

    assert found["revenue_per_hour", "west", "USD"] == 31.92
    assert found["revenue_per_hour", "west", "EUR"] == 15.96
    assert found["cost_per_hour", "west", "USD"] == 37.6


def test_a_lease_that_earns_nothing_says_0_so_that_its_margin_can_be_asked_for():
    found = samples()

    assert found["revenue_per_hour", "west", "USD"] == 0
    assert found["cost_per_hour", "east", "USD"] == 0


def test_of_a_lease_that_isnt_in_memory_only_what_claims_say_stands_under_its_uid():
    found = samples(sold("a", WEST, 8), leases=())

    uid = WEST.metadata.uid
    assert found == {("used_gpus", uid): 8, ("revenue_per_hour", uid, "USD"): 31.92}
