"""Pods of the landlord's other namespaces, in a cluster with leased nodes: they come onto none of them."""

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.integration.isolation.tenancy import Object, Tenancy, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

CLOSED = "leased GPU nodes are not open to this namespace"
NO_NODE = "spec.nodeName may not be set in a cluster with leased GPU nodes"
OPEN_ALL: Object = {"operator": "Exists"}
OPEN_POOL: Object = {"key": "sublet.dev/pool", "operator": "Exists"}
TOLERATIONS: list[Object] = [
    OPEN_ALL,
    {**OPEN_ALL, "effect": "NoSchedule"},
    OPEN_POOL,
    {**OPEN_POOL, "effect": "NoSchedule"},
    {"key": "sublet.dev/pool", "operator": "Equal", "value": "x", "effect": "NoSchedule"},
]
HARMLESS: list[Object] = [
    {**OPEN_ALL, "effect": "NoExecute"},
    {"key": "nvidia.com/gpu", "operator": "Exists"},
]
BY_KUBELET = ("--as=system:node:w0", "--as-group=system:nodes", "--as-group=system:authenticated")


@pytest.fixture(scope="module", autouse=True)
def _theirs(tenancy: Tenancy) -> Iterator[None]:
    """A namespace of somebody whom the landlord serves itself, with a plain pod in it."""
    tenancy.stack.kubectl("west", "create", "namespace", "theirs")
    pod = plain_pod("there", gpus=0)
    pod["metadata"]["namespace"] = "theirs"
    tenancy.stack.apply("west", pod)
    yield
    tenancy.stack.kubectl("west", "delete", "namespace", "theirs")


def made(tenancy: Tenancy, where: str, *who: str, mirror: bool = False, **spec: object) -> str:
    """Return what the landlord's admin is told of such a pod, or who else asks."""
    pod = plain_pod("p", gpus=0)
    pod["spec"].update(spec)
    if mirror:
        pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    create = ("-n", where, "create", "-f", "-", "--dry-run=server")
    return tenancy.stack.kubectl("west", *create, *who, given=yaml.safe_dump(pod), check=False)


@pytest.mark.parametrize("toleration", TOLERATIONS)
def test_no_pod_from_elsewhere_tolerates_the_pool(tenancy: Tenancy, toleration: Object):
    has = tenancy.stack.get("west", "pod", "-n", "theirs", "there")["spec"]["tolerations"]
    there = json.dumps({"spec": {"tolerations": [*has, toleration]}})
    patch = ("-n", "theirs", "patch", "pod", "there", "-p", there, "--dry-run=server")

    assert CLOSED in made(tenancy, "theirs", tolerations=[toleration])
    assert CLOSED in tenancy.stack.kubectl("west", *patch, check=False)


@pytest.mark.parametrize("toleration", HARMLESS)
def test_what_opens_no_leased_node_may_be_tolerated_elsewhere(tenancy: Tenancy, toleration: Object):
    assert "created" in made(tenancy, "theirs", tolerations=[toleration])


def test_no_pod_from_elsewhere_chooses_a_node(tenancy: Tenancy):
    """It would skip the scheduler, and with it the taint."""
    assert NO_NODE in made(tenancy, "theirs", nodeName="w0")
    assert "created" in made(tenancy, "theirs", *BY_KUBELET, mirror=True, nodeName="w0")


def test_the_landlords_own_daemons_come_onto_every_node(tenancy: Tenancy):
    assert "created" in made(tenancy, "kube-system", tolerations=[OPEN_ALL])
    assert "created" in made(tenancy, "kube-system", nodeName="w0")


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "work")
