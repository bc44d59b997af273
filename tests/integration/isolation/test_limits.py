"""How much of a cluster's store, addresses and disks one tenant may take: so much that the others still have theirs."""

import asyncio
from typing import Any

import pytest

from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import Tenancy, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

AT_ONCE = 10
DISK = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}


@pytest.fixture(autouse=True)
def _nothing_counted(tenancy: Tenancy) -> None:
    """Begin when the quota counts nothing: it hears a little later of what an earlier test took away."""
    where = ("resourcequota", "-n", tenancy.home("wide"), "sublet")

    kinds = ("secrets", "services", "persistentvolumeclaims")

    def counts() -> set[str | None]:
        used = tenancy.stack.get("east", *where).get("status", {}).get("used", {})
        return {used.get(each) for each in kinds}

    wait_for("nothing is counted", lambda: counts() == {"0"})


async def _made_until_refused(tenancy: Tenancy, path: str, most: int, **body: Any) -> list[str]:
    """Make one more than `most` objects and take them away again; returns what was said of each."""
    slots = asyncio.Semaphore(AT_ONCE)
    async with tenancy.tenant("wide") as mallory:

        async def one(number: int) -> str:
            async with slots:
                meta = {"name": f"many-{number}", "labels": {"many": "true"}}
                return await mallory.creates(path, {"metadata": meta, **body})

        said = [*await asyncio.gather(*(one(i) for i in range(most - 1)))]
        said += [await one(i) for i in (most, most + 1)]
        assert await mallory.asks("DELETE", f"{path}?labelSelector=many") == "accepted"
    return said


@pytest.mark.parametrize(
    ("plural", "most", "body"),
    [
        ("secrets", 200, {"stringData": {"a": "b"}}),
        ("services", 200, {"spec": {"ports": [{"port": 80}]}}),
        ("persistentvolumeclaims", 100, {"spec": {**DISK, "resources": {"requests": {"storage": "1Gi"}}}}),
    ],
)  # fmt: skip
async def test_a_tenant_fills_no_cluster_that_others_use(tenancy: Tenancy, plural, most, body):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/{plural}"

    said = await _made_until_refused(tenancy, path, most, **body)

    assert said[:-1] == ["accepted"] * most
    assert f"exceeded quota: sublet, requested: {plural}=1" in said[-1]


def test_pods_that_ended_are_counted_too(tenancy: Tenancy):
    quota = tenancy.stack.get("east", "resourcequota", "-n", tenancy.home("wide"), "sublet")
    hard = quota["status"]["hard"]

    assert (hard["pods"], hard["count/pods"]) == ("500", "1k")
    assert "count/pods" in quota["status"]["used"]


async def test_a_tenant_orders_no_disk_without_end(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/persistentvolumeclaims"
    huge = {"metadata": {"name": "d"}, "spec": {**DISK, "resources": {"requests": {"storage": "51Ti"}}}}  # fmt: skip
    async with tenancy.tenant("wide") as mallory:
        said = await mallory.creates(path, huge)

    assert "exceeded quota: sublet, requested: requests.storage=51Ti" in said


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "wide")
