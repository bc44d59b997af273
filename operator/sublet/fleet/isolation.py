"""Is isolation live in a leased cluster? Proven by trying, at first contact and every hour.

A policy that exists may not act, and a 403 from RBAC proves nothing. So the proof is: every policy and binding
that onboarding installs is there and unchanged (digest annotation), and in the probe namespace a good pod's dry
run is accepted while a bad one's is refused *with the policy's name*. The operator can't write policies: it
reports, stops selling, and `sublet onboard` mends.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sublet.kube.bodies import decode, decoder_of
from sublet.kube.errors import ApiError, BadAnswer, Forbidden, NotFound
from sublet.kube.session import ApiServer
from sublet.kube.wire import Name

DIGEST: Final = "sublet.dev/digest"
PROBE_UID: Final = "00000000-0000-0000-0000-000000000000"
PROBE_NAMESPACE: Final = f"sublet-{PROBE_UID}-1"
"""A well-formed claim namespace that belongs to no claim, made by onboarding."""
CLAIM_PODS_POLICY: Final = "sublet-claim-pods"
TENANT_ROLE: Final = "sublet-tenant"

VALIDATING: Final = (
    "sublet-node-invariants",
    CLAIM_PODS_POLICY,
    "sublet-claim-env-keys",
    "sublet-claim-binding",
    "sublet-claim-objects",
    "sublet-other-pods",
    "sublet-node-metadata",
    "sublet-namespace-metadata",
    "sublet-operator-fence",
    "sublet-operator-nodes",
)
MUTATING: Final = ("sublet-claim-pods", "sublet-claim-defaults")
"""Only where the server has them (1.36); below, tenants' pods must carry selector and toleration themselves."""

_GROUP: Final = "/apis/admissionregistration.k8s.io/v1"
_AT_ONCE: Final = 2
"""Requests of one proof: each connection more costs a twentieth of a MiB, for every leased cluster."""
_MOST_SPEC_BYTES: Final = 64 * 1024
"""Of one policy or binding; ours have a tenth of it."""


class _Notes(msgspec.Struct, rename={"digest": DIGEST}):
    digest: Name = ""


class _Noted(msgspec.Struct):
    annotations: _Notes | None = None


class _Policy(msgspec.Struct):
    metadata: _Noted
    spec: msgspec.Raw = msgspec.Raw(b"null")


class _Resource(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: list[_Resource] = []


async def find_isolation_fault(api: ApiServer) -> str | None:
    """Prove isolation; return what is wrong and what to do, None if all is well.

    Raises Unreachable and Unauthorized as they come: not being able to ask is no finding.
    """
    try:
        missing = await _find_drift(api)
        if missing is not None:
            return f"{missing}; run `sublet onboard` for this cluster again"
        return await _try_pods(api)
    except Forbidden as error:
        return missing_right(error)
    except NotFound:
        return "the cluster serves no admission policies; Kubernetes 1.30 or newer is needed"
    except RecursionError as error:
        raise BadAnswer("a policy that is nested too deep") from error


def missing_right(error: Forbidden) -> str:
    """Say that the operator's credential can't do what the proof needs, and what to do."""
    return f"a right is missing ({error.message}); run `sublet onboard` for this cluster again"


def spec_digest(obj: Mapping[str, Any]) -> str:
    """Return the sha256 of an object's spec as the server shows it."""
    text = json.dumps(obj.get("spec"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def probe_pod(*, bad: bool, namespace_uid: str = PROBE_UID) -> dict[str, Any]:
    """Return a tenant's pod; the bad one asks for a foreign scheduler, which only our policy refuses."""
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "sublet-probe"},
        "spec": {
            "nodeSelector": {f"claim.sublet.dev/{namespace_uid}": "true"},
            "tolerations": [
                {"key": "sublet.dev/pool", "operator": "Exists", "effect": "NoSchedule"}
            ],
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "probe",
                    "image": "probe",
                    "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}],
                    "resources": {
                        "requests": {"cpu": "1m", "memory": "1Mi"},
                        "limits": {"cpu": "1m", "memory": "1Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }
            ],
        },
    }
    if bad:
        pod["spec"]["schedulerName"] = "sublet-probe"
    return pod


async def find_pod_fault(api: ApiServer, namespace: str, uid: str) -> str | None:
    """Dry-run a bad pod in a claim namespace; return a fault unless the policy itself refused it."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        await api.create(path, probe_pod(bad=True, namespace_uid=uid), dry_run=True)
    except Forbidden as error:
        if CLAIM_PODS_POLICY in error.message:
            return None
        return f"the probe was refused by something else than {CLAIM_PODS_POLICY}: {error.message}"
    return f"policy {CLAIM_PODS_POLICY} didn't refuse a pod with a foreign scheduler"


async def _find_drift(api: ApiServer) -> str | None:
    wanted = [f"validatingadmissionpolicies/{n}" for n in VALIDATING]
    wanted += [f"validatingadmissionpolicybindings/{n}" for n in VALIDATING]
    if await _serves_mutating(api):
        wanted += [f"mutatingadmissionpolicies/{n}" for n in MUTATING]
        wanted += [f"mutatingadmissionpolicybindings/{n}" for n in MUTATING]
    slots = asyncio.Semaphore(_AT_ONCE)

    async def look(path: str) -> str | None:
        async with slots:
            return await _drift_of(api, path)

    found = await asyncio.gather(*(look(path) for path in wanted))
    return next((fault for fault in found if fault is not None), None)


async def _drift_of(api: ApiServer, path: str) -> str | None:
    try:
        live = await api.get_as(f"{_GROUP}/{path}", _Policy)
    except NotFound:
        return f"{path} is missing"
    changed = f"{path} was changed since onboarding"
    written = live.metadata.annotations
    if written is None or len(live.spec) > _MOST_SPEC_BYTES:
        return changed
    spec = decode(live.spec, decoder_of(Any))
    return None if written.digest == spec_digest({"spec": spec}) else changed


async def _serves_mutating(api: ApiServer) -> bool:
    served = await api.get_as(_GROUP, _Resources)
    return any(r.name == "mutatingadmissionpolicies" for r in served.resources)


async def _try_pods(api: ApiServer) -> str | None:
    path = f"/api/v1/namespaces/{PROBE_NAMESPACE}/pods"
    try:
        await api.create(path, probe_pod(bad=False), dry_run=True)
    except NotFound:
        return (
            f"namespace {PROBE_NAMESPACE} is missing; run `sublet onboard` for this cluster again"
        )
    except ApiError as error:
        return f"a tenant's plain pod is refused: {error.message}"
    return await find_pod_fault(api, PROBE_NAMESPACE, PROBE_UID)
