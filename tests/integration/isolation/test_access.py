"""What a lease lets tenants do is tried against the fence that onboarding wrote, with the operator's own rights."""

import pytest

from sublet.api.lease_terms import RoleRule, TenantAccess
from sublet.fleet.access import find_excess
from sublet.fleet.isolation import PROBE_UID
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.harness.stack import leased_kubeconfig
from tests.integration.isolation.tenancy import Tenancy

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]


async def excess(tenancy: Tenancy, access: TenantAccess) -> str:
    config = str(leased_kubeconfig(tenancy.stack, "east"))
    async with ApiServer(await hub_endpoint(kubeconfig=config)) as api:
        return await find_excess(api, access)


def kinds(*resources: str) -> tuple[RoleRule, ...]:
    return (RoleRule(api_group="kubeflow.org", resources=resources),)


async def test_all_that_was_onboarded_may_be_asked_for_and_nothing_is_left_of_it(tenancy: Tenancy):
    access = TenantAccess(
        capabilities=("IPC_LOCK",),
        extra_resources=("rdma/hca",),
        role_rules=kinds("pytorchjobs"),
    )

    assert await excess(tenancy, access) == ""
    names = tenancy.stack.kubectl("east", "get", "namespaces", "-o", "name").split()
    assert f"namespace/sublet-{PROBE_UID}-2" not in names
    roles = tenancy.stack.kubectl(
        "east", "get", "roles", "-n", f"sublet-{PROBE_UID}-1", "-o", "name"
    )
    assert "sublet-tenant-extra" not in roles


@pytest.mark.parametrize(
    ("access", "option"),
    [
        (TenantAccess(capabilities=("IPC_LOCK", "SYS_PTRACE")), "--capability SYS_PTRACE"),
        (TenantAccess(extra_resources=("rdma/*",)), "--extra-resource rdma/*"),
        (TenantAccess(role_rules=kinds("mpijobs")), "--role-resource kubeflow.org/mpijobs"),
    ],
    ids=["capability", "resource", "kind"],
)
async def test_what_goes_beyond_is_found(tenancy: Tenancy, access: TenantAccess, option: str):
    assert option in await excess(tenancy, access)
