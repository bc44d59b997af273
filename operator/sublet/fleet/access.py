"""Does `sublet onboard` allow in a cluster what its lease lets tenants do? Tried, beside each proof of isolation.

Onboarding's policies are the upper bound of `tenantAccess`. What is beyond them the fence refuses when a claim is bound,
which then waits with its GPUs locked. So namespace and role are asked for here before anything is sold, as dry runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sublet.api.lease_terms import TenantAccess
from sublet.fleet.isolation import EXTRA_ROLE, PROBE_NAMESPACE, PROBE_UID
from sublet.kube.errors import ApiError, Forbidden, ServerError, TooManyRequests, Unauthorized
from sublet.kube.session import ApiServer

_FENCE: Final = "sublet-operator-fence"
_NAMESPACES: Final = "/api/v1/namespaces"
_TRIED: Final = f"sublet-{PROBE_UID}-2"
"""A claim namespace that never is."""
_ROLE_PATH: Final = (
    f"/apis/rbac.authorization.k8s.io/v1/namespaces/{PROBE_NAMESPACE}/roles/{EXTRA_ROLE}"
)
_VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_MOST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Ask:
    """One list of `tenantAccess` that onboarding must allow."""

    option: str
    """Of `sublet onboard`: what allows it."""
    texts: tuple[str, ...]
    path: str
    body: dict[str, Any]
    """What a claim would write, as far as it is about this list."""


def asks_of(access: TenantAccess) -> tuple[Ask, ...]:
    """Return what of `tenantAccess` onboarding must allow; most leases ask for nothing."""
    return tuple(ask for ask in _asks(access) if ask.texts)


def _asks(access: TenantAccess) -> Iterator[Ask]:
    resources, capabilities = access.extra_resources, access.capabilities
    level = access.pod_security.value
    body = _namespace(level, {"sublet.dev/extra-resources": ",".join(resources)})
    yield Ask("--extra-resource", resources, _NAMESPACES, body)
    body = _namespace("privileged", {"sublet.dev/capabilities": ",".join(capabilities)})
    yield Ask("--capability", capabilities, _NAMESPACES, body)
    kinds = tuple(
        f"{rule.api_group}/{each}" for rule in access.role_rules for each in rule.resources
    )
    yield Ask("--role-resource", kinds, _ROLE_PATH, _role(access))


def _namespace(level: str, annotations: dict[str, str]) -> dict[str, Any]:
    labels = {"sublet.dev/claim": PROBE_UID, "pod-security.kubernetes.io/enforce": level}
    meta = {"name": _TRIED, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


def _role(access: TenantAccess) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {
            "name": EXTRA_ROLE,
            "namespace": PROBE_NAMESPACE,
            "labels": {"sublet.dev/claim": PROBE_UID},
        },
        "rules": [
            {"apiGroups": [r.api_group], "resources": list(r.resources), "verbs": list(_VERBS)}
            for r in access.role_rules
        ],
    }


async def find_excess(api: ApiServer, access: TenantAccess) -> str:
    """Return what a lease asks for beyond what was onboarded, and what mends it; empty if there is nothing.

    Raises the session's errors where the cluster can't say it now.
    """
    beyond = [ask for ask in asks_of(access) if await _is_refused(api, ask)]
    if not beyond:
        return ""
    options = [f"{ask.option} {text}" for ask in beyond for text in ask.texts]
    more = len(options) - _MOST_SHOWN
    return (
        "tenantAccess asks for more than `sublet onboard` allowed in this cluster: run it again there with "
        f"{' '.join(options[:_MOST_SHOWN])}{f' and {more} more' if more > 0 else ''} (what is given for an option replaces all "
        "that it had before), or take it out of the lease"
    )  # fmt: skip


async def _is_refused(api: ApiServer, ask: Ask) -> bool:
    """Say whether the fence refuses it; what refuses dry runs for a reason of its own is no finding."""
    try:
        if ask.path == _NAMESPACES:
            await api.create(ask.path, ask.body, dry_run=True)
        else:  # as binding does: the right to give it goes by the role's name, which a POST hasn't got
            await api.apply(ask.path, ask.body, dry_run=True)
    except Forbidden as error:
        return _FENCE in error.message
    except (Unauthorized, TooManyRequests, ServerError):
        raise
    except ApiError:
        return False
    return False
