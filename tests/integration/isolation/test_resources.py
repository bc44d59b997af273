"""What a lease sells beside GPUs, as its own device plugin gives it: all of that, and nothing else however it is asked for."""

from typing import Any

import pytest

from tests.integration.isolation.tenancy import Object, Tenancy, plain_pod, runs
from tests.integration.isolation.test_pods import EVERYTHING, container

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

UNSOLD = "the only extended resources here"


async def said_of(tenancy: Tenancy, claim: str, **spec: Any) -> str:
    """Return what a tenant is told of a pod with these fields; nothing comes of it."""
    pod: Object = plain_pod("p")
    pod["spec"].update(spec)
    async with tenancy.tenant(claim) as mallory:
        return await mallory.creates(
            f"/api/v1/namespaces/{tenancy.home(claim)}/pods", pod, dry=True
        )


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
async def test_no_pod_asks_for_a_class_of_devices_by_its_requests_alone(
    tenancy: Tenancy, kind: str
):
    """A server wants a limit of every other resource with a domain."""
    devices = {"requests": {"deviceclass.resource.kubernetes.io/gpu": "1"}}
    (asking,) = container(resources=devices)["containers"]
    said = await said_of(tenancy, "wide", **{kind: [{**asking, "name": "asks"}]})

    assert UNSOLD in said


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("rdma/hca", "accepted"),
        ("net.example/a", "accepted"),
        ("rdma/shared", "may be tolerated"),
        ("net.example.org/a", "may be tolerated"),
    ],
)
async def test_a_sold_resources_own_taint_is_tolerated_and_none_that_begins_like_it(
    tenancy: Tenancy, key: str, answer: str
):
    """The plugin ExtendedResourceToleration adds one for each extended resource that a pod asks for."""
    each = {"key": key, "operator": "Exists", "effect": "NoSchedule"}

    assert answer in await said_of(tenancy, "wide", tolerations=[each])


async def test_where_nothing_is_sold_beside_gpus_no_toleration_is_everybodys(tenancy: Tenancy):
    said = [
        await said_of(tenancy, "work", tolerations=[{"operator": "Exists"}]),
        await said_of(tenancy, "work", tolerations=[{"key": "rdma/hca", "operator": "Exists"}]),
    ]

    assert all(EVERYTHING in each for each in said), said
    assert await said_of(tenancy, "work") == "accepted"


@pytest.mark.parametrize("claim", ["work", "wide"])
def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy, claim: str):
    runs(tenancy, claim)
