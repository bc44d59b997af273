"""The tenants and credentials that the attacks are made with; one set of planes for all of them."""

import os
from collections.abc import Iterator

import pytest

from sublet.manifests.render import LeasedOptions
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import H200, gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, start_stack
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import ACME, GLOBEX, Tenancy

LOOSE = LeasedOptions(
    role_resources=("kubeflow.org/pytorchjobs",),
    capabilities=("IPC_LOCK",),
    extra_resources=("rdma/hca", "net.example/*"),
    pod_networks=("fabric/rdma",),
)


@pytest.fixture(scope="package")
def tenancy() -> Iterator[Tenancy]:
    """Bound claims of two tenants: acme's `work` and globex's `theirs` on west, acme's `wide` on east."""
    stack = start_stack(f"isolation-{os.getpid()}", options=LOOSE)
    operator = OperatorProcess(stack)
    try:
        _furnish(stack)
        operator.start()
        asked = ((ACME, "work", "h100"), (GLOBEX, "theirs", "h100"), (ACME, "wide", "h200"))
        for namespace, name, of in asked:
            stack.apply("hub", claim(name, namespace, class_name=of))
        bound = {
            name: wait_for(f"{name} bound", lambda n=name, ns=ns: stack.is_bound(ns, n))
            for ns, name, _ in asked
        }
        yield Tenancy(stack, operator, bound)
    finally:
        operator.kill()
        stack.stop()


def _furnish(stack: Stack) -> None:
    for namespace in (ACME, GLOBEX):
        stack.kubectl("hub", "create", "namespace", namespace)
        stack.kubectl("hub", "-n", namespace, "create", "serviceaccount", "editor")
        stack.kubectl(
            "hub", "-n", namespace, "create", "rolebinding", "editor",
            "--clusterrole=edit", f"--serviceaccount={namespace}:editor",
        )  # fmt: skip
    stack.apply("west", *(gpu_node(f"w{i}") for i in range(3)))
    stack.apply("east", *(gpu_node(f"e{i}", H200) for i in range(2)))
    # classes that exist: what refuses them is the policy, not their absence
    stack.apply(
        "east",
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "nvidia-legacy"},
            "handler": "legacy",
        },
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "landlords"},
            "value": 1_000,
        },
    )
    sold = {"capabilities": ["IPC_LOCK"], "extraResources": ["rdma/hca", "net.example/*"]}
    stack.apply(
        "hub",
        lease("west", committed=24, nodeSelector={"topology.kubernetes.io/zone": "z1"}),
        lease("east", product=H200.product, committed=16, tenantAccess=sold),
        gpu_class(),
        gpu_class("h200", products=(H200.product,)),
        tenant(),
        tenant("globex", namespaces=(GLOBEX,)),
    )
