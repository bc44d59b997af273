"""Secondary networks, by which a pod would reach others past every NetworkPolicy: the landlord offers them, nobody takes them."""

from typing import Final

import pytest

from tests.integration.isolation.tenancy import Object, Tenancy, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

NETWORKS: Final = "k8s.v1.cni.cncf.io/networks"
FIRST: Final = "v1.multus-cni.io/default-network"
OFFERED: Final = "fabric/rdma"
NOT_OFFERED: Final = f"{FIRST} is not allowed, and {NETWORKS} may only be one of: {OFFERED}"
ASKED = [
    {FIRST: OFFERED},
    {FIRST: "kube-system/flat"},
    {FIRST: OFFERED, NETWORKS: OFFERED},
    {NETWORKS: "kube-system/flat"},
    {NETWORKS: "rdma"},
    {NETWORKS: f"{OFFERED}@eth0"},
    {NETWORKS: f"{OFFERED},kube-system/flat"},
    {NETWORKS: '[{"name": "rdma", "namespace": "fabric", "ips": ["10.0.0.5"]}]'},
]


def noted(notes: dict[str, str]) -> Object:
    pod = plain_pod("attack")
    pod["metadata"]["annotations"] = notes
    return pod


@pytest.mark.parametrize("notes", ASKED, ids=str)
async def test_no_pod_joins_a_network_that_isnt_offered(tenancy: Tenancy, notes: dict[str, str]):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    async with tenancy.tenant("wide") as mallory:
        said = await mallory.creates(path, noted(notes), dry=True)

    assert said.startswith("403"), said
    assert NOT_OFFERED in said


async def test_no_pod_that_runs_asks_for_another_network(tenancy: Tenancy):
    """It would join when its sandbox is made anew. What Multus itself writes is another note."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    async with tenancy.tenant("wide") as mallory:
        assert await mallory.creates(path, noted({NETWORKS: OFFERED})) == "accepted"
        said = [
            await mallory.merges(f"{path}/attack", {"metadata": {"annotations": {key: value}}})
            for key, value in ((NETWORKS, "kube-system/flat"), (FIRST, OFFERED))
        ]
        status = {"metadata": {"annotations": {"k8s.v1.cni.cncf.io/network-status": "[]"}}}
        assert await mallory.merges(f"{path}/attack", status) == "accepted"
        assert await mallory.asks("DELETE", f"{path}/attack") == "accepted"

    assert all(NOT_OFFERED in each for each in said), said


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "wide")
