"""What must be seen live before a kubeconfig is handed over.

A quota isn't enforced until its `status.hard` is filled, and a policy that exists may not act. So: the quota in
force is the one asked for; a violating pod sent by the operator is refused by the policy itself; the tenant's own
token may make a plain pod and may not make a violating one.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sublet.binder.namespace import QUOTA
from sublet.fleet.isolation import find_pod_fault, probe_pod
from sublet.kube.errors import Forbidden, Unauthorized
from sublet.kube.quantities import quantity
from sublet.kube.session import ApiServer

NOT_ENFORCED: Final = (
    "the cluster doesn't enforce the claim's quota (is its controller-manager running?)"
)
_QUOTA_TRIES: Final = 300
_QUOTA_WAIT_SECONDS: Final = 0.1
_TENANT_TRIES: Final = 20
_TENANT_WAIT_SECONDS: Final = 0.1


class IsolationFault(Exception):
    """Isolation isn't live in a claim's namespace; the claim stays reserved and is not handed over."""


async def see_quota(api: ApiServer, namespace: str, hard: Mapping[str, str]) -> None:
    """Wait until the quota in force is the one asked for; IsolationFault after half a minute."""
    for _ in range(_QUOTA_TRIES):
        live = await api.get(f"/api/v1/namespaces/{namespace}/resourcequotas/{QUOTA}")
        if is_enforced(live, hard):
            return
        await asyncio.sleep(_QUOTA_WAIT_SECONDS)
    raise IsolationFault(NOT_ENFORCED)


def is_enforced(quota: Mapping[str, Any], hard: Mapping[str, str]) -> bool:
    """Say whether a quota that the cluster shows is in force, as it was asked for."""
    return _quantities(quota.get("status", {}).get("hard", {})) == _quantities(hard)


async def see_policy(api: ApiServer, namespace: str, claim_uid: str) -> None:
    """Let the operator's own violating pod be refused by the policy, or raise IsolationFault."""
    fault = await find_pod_fault(api, namespace, claim_uid)
    if fault is not None:
        raise IsolationFault(fault)


async def see_tenant(api: ApiServer, namespace: str, claim_uid: str, token: str) -> None:
    """With the tenant's token: a plain pod is accepted, a violating one refused by the policy.

    A new RoleBinding reaches the authorizer within milliseconds; so long is a refusal not yet a fault.
    """
    path = f"/api/v1/namespaces/{namespace}/pods"
    pod = probe_pod(bad=False, namespace_uid=claim_uid)
    async with api.with_token(token) as tenant:
        for left in reversed(range(_TENANT_TRIES)):
            try:
                await tenant.create(path, pod, dry_run=True)
                break
            except (Forbidden, Unauthorized) as error:
                if left == 0:
                    raise IsolationFault(f"the tenant's pod is refused: {error.message}") from error
            await asyncio.sleep(_TENANT_WAIT_SECONDS)
        await see_policy(tenant, namespace, claim_uid)


def _quantities(hard: Mapping[str, str]) -> dict[str, Decimal]:
    """Return the numbers of a quota's limits."""
    return {name: quantity(text) for name, text in hard.items()}
