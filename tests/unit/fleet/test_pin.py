"""Which cluster a lease is for: the one that it was connected to, whatever its spec comes to say."""

import pytest

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID
from sublet.fleet.pin import other_pin, pin_fault
from tests.builders.api import as_lease, lease, uid_of

OLD, NEW = ClusterUID(uid_of("old")), ClusterUID(uid_of("new"))


def pinned(*, asked: str | None = None, recorded: str | None = None) -> GpuLease:
    ref = {"kubeconfigSecretRef": {"name": "west"}, "clusterUID": asked}
    return as_lease(lease("west", clusterRef=ref) | {"status": {"clusterUID": recorded}})


@pytest.mark.parametrize(
    ("asked", "recorded", "seen", "other"),
    [
        (None, None, None, None),
        (NEW, None, None, None),
        (None, NEW, None, None),
        (NEW, NEW, NEW, None),
        (OLD, None, None, OLD),
        (None, OLD, None, OLD),
        (None, None, OLD, OLD),
        (NEW, OLD, None, OLD),
        (NEW, None, OLD, OLD),
        (OLD, NEW, None, OLD),
    ],
)
def test_a_cluster_is_the_leases_if_neither_its_status_nor_its_spec_names_another(
    asked: str | None, recorded: str | None, seen: str | None, other: str | None
):
    assert other_pin(pinned(asked=asked, recorded=recorded), NEW, seen) == other


def test_whoever_exchanges_a_cluster_is_told_that_it_needs_another_lease():
    said = pin_fault(pinned(asked=NEW, recorded=OLD), NEW)

    assert said is not None
    assert "spec.lost" in said


def test_whoever_asks_for_another_cluster_by_mistake_is_told_which_field_says_so():
    said = pin_fault(pinned(asked=OLD, recorded=NEW), NEW)

    assert said is not None
    assert "by clusterRef.clusterUID" in said
