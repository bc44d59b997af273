"""A cluster is believed only if it is the one that its lease recorded, whoever the connection took it for."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.binder.identity import confirm
from sublet.kube.errors import Unreachable
from tests.builders.api import as_lease, lease, uid_of
from tests.builders.clusters import CLUSTER, NotedApi

OTHER = uid_of("another cluster")


def cluster(*, seen: str = CLUSTER, recorded: str | None = CLUSTER) -> Any:
    """Return a connection that was made to one cluster, of a lease that may have recorded another; CLUSTER answers."""
    of = as_lease(lease("west") | {"status": {"clusterUID": recorded}})
    return SimpleNamespace(api=NotedApi(""), lease=of, facts=SimpleNamespace(cluster_uid=seen))


@pytest.mark.parametrize("recorded", [CLUSTER, None], ids=["recorded", "nothing recorded yet"])
async def test_the_leases_cluster_is_believed(recorded: str | None):
    await confirm(cluster(recorded=recorded))


@pytest.mark.parametrize(
    "wrong",
    [cluster(seen=OTHER), cluster(recorded=OTHER)],
    ids=["another than was connected to", "another than was recorded"],
)
async def test_no_other_is(wrong: Any):
    with pytest.raises(Unreachable):
        await confirm(wrong)
