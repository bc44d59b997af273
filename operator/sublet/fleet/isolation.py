"""Is isolation live in a leased cluster? Proven by trying, at first contact and every hour.

A policy that exists may not act, and a 403 from RBAC proves nothing. So the proof is: every policy and binding
that onboarding installs is there and unchanged (digest annotation), and in the probe namespace a good pod's dry
run is accepted while a bad one's is refused *with the policy's name*. The operator can't write policies: it
reports, stops selling, and `sublet onboard` mends. Policies that are whole but of an older onboarding hold what that one
knew: they are named, and the lease sells on, so that no upgrade stops a sale.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sublet.kube.bodies import decode, decoder_of
from sublet.kube.errors import ApiError, BadAnswer, Forbidden, NotFound
from sublet.kube.session import ApiServer
from sublet.kube.wire import Name

DIGEST: Final = "sublet.dev/digest"
ONBOARDING: Final = "sublet.dev/onboarding"
"""Which version of the onboarding wrote a policy, and beside which digest: an older one writes the digest alone anew."""
ONBOARDING_VERSION: Final = 5
"""Raised with each change of what onboarding installs; a test keeps the hash of that."""
PROBE_UID: Final = "00000000-0000-0000-0000-000000000000"
PROBE_NAMESPACE: Final = f"sublet-{PROBE_UID}-1"
"""A well-formed claim namespace that belongs to no claim, made by onboarding."""
CLAIM_PODS_POLICY: Final = "sublet-claim-pods"
TENANT_ROLE: Final = "sublet-tenant"
EXTRA_ROLE: Final = f"{TENANT_ROLE}-extra"
TENANT_ACCOUNT: Final = "tenant"

VALIDATING: Final = (
    "sublet-node-invariants",
    CLAIM_PODS_POLICY,
    "sublet-claim-owners",
    "sublet-claim-size",
    "sublet-claim-env-keys",
    "sublet-claim-binding",
    "sublet-claim-objects",
    "sublet-other-pods",
    "sublet-node-metadata",
    "sublet-namespace-metadata",
    "sublet-operator-fence",
    "sublet-operator-nodes",
)
_SINCE: Final[Mapping[str, int]] = {"sublet-claim-owners": 4, "sublet-claim-size": 5}
"""Policies that came later, and with which version of the onboarding: where all are of older ones, it isn't missing."""
MUTATING: Final = ("sublet-claim-pods", "sublet-claim-defaults")
"""Only where the server has them (1.36); below, tenants' pods must carry selector and toleration themselves."""

_GROUP: Final = "/apis/admissionregistration.k8s.io/v1"
_MOST_SPEC_BYTES: Final = 64 * 1024
"""Of one policy or binding; ours have a tenth of it."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of trying; both texts say what to do."""

    fault: str = ""
    """Why isolation doesn't hold; empty if it does."""
    caveat: str = ""
    """What is to be mended though it holds."""


_AGAIN: Final = "run `sublet onboard` for this cluster again"
_OLDER: Final = Proof(
    caveat=f"the policies act, but an older `sublet onboard` wrote them, and they may accept what this version's refuse; {_AGAIN}"
)


class _Notes(msgspec.Struct, rename={"digest": DIGEST, "onboarding": ONBOARDING}):
    digest: Name = ""
    onboarding: Name = ""


class _Noted(msgspec.Struct):
    annotations: _Notes | None = None


class _Policy(msgspec.Struct):
    metadata: _Noted
    spec: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look at one policy or binding showed."""

    version: int
    """Of the onboarding that wrote it; of one that isn't there, of the first that would have."""
    fault: str = ""


class _Resource(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: list[_Resource] = []


async def prove_isolation(api: ApiServer) -> Proof:
    """Look at the policies, then try them.

    Raises Unreachable and Unauthorized as they come: not being able to ask is no finding.
    """
    try:
        written = await _look_at_policies(api)
        if written.fault:
            return written
        fault = await _try_pods(api)
        return Proof(fault) if fault else written
    except Forbidden as error:
        return Proof(missing_right(error))
    except NotFound:
        return Proof("the cluster serves no admission policies; Kubernetes 1.30 or newer is needed")
    except RecursionError as error:
        raise BadAnswer("a policy that is nested too deep") from error


def missing_right(error: Forbidden) -> str:
    """Say that the operator's credential can't do what the proof needs, and what to do."""
    return f"a right is missing ({error.message}); {_AGAIN}"


def spec_digest(obj: Mapping[str, Any]) -> str:
    """Return the sha256 of an object's spec as the server shows it."""
    text = json.dumps(obj.get("spec"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def notes_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return the annotations by which a policy's proof goes, of the policy as the server shows it."""
    digest = spec_digest(obj)
    return {DIGEST: digest, ONBOARDING: f"{ONBOARDING_VERSION}/{digest}"}


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


async def _look_at_policies(api: ApiServer) -> Proof:
    wanted = [f"validatingadmissionpolicies/{n}" for n in VALIDATING]
    wanted += [f"validatingadmissionpolicybindings/{n}" for n in VALIDATING]
    if await _serves_mutating(api):
        wanted += [f"mutatingadmissionpolicies/{n}" for n in MUTATING]
        wanted += [f"mutatingadmissionpolicybindings/{n}" for n in MUTATING]
    # one after another: each connection more costs a tenth of a MB, for every leased cluster
    found = [await _look_at(api, path) for path in wanted]
    oldest = min((each.version for each in found if not each.fault), default=0)
    if faults := [each.fault for each in found if each.fault and each.version <= oldest]:
        return Proof(f"{faults[0]}; {_AGAIN}")
    return _OLDER if oldest < ONBOARDING_VERSION else Proof()


async def _look_at(api: ApiServer, path: str) -> _Found:
    try:
        live = await api.get_as(f"{_GROUP}/{path}", _Policy)
    except NotFound:
        return _Found(_SINCE.get(path.rsplit("/", 1)[1], 0), f"{path} is missing")
    notes, is_ours = live.metadata.annotations, len(live.spec) <= _MOST_SPEC_BYTES
    if notes is not None and is_ours:
        spec = decode(live.spec, decoder_of(Any))
        if notes.digest == spec_digest({"spec": spec}):
            return _Found(_version_of(notes))
    return _Found(0, f"{path} was changed since onboarding")


def _version_of(notes: _Notes) -> int:
    """Return which version of the onboarding wrote a policy, 0 for those that noted none."""
    version, _, digest = notes.onboarding.partition("/")
    return int(version) if digest == notes.digest and version.isdecimal() else 0


async def _serves_mutating(api: ApiServer) -> bool:
    served = await api.get_as(_GROUP, _Resources)
    return any(r.name == "mutatingadmissionpolicies" for r in served.resources)


async def _try_pods(api: ApiServer) -> str | None:
    path = f"/api/v1/namespaces/{PROBE_NAMESPACE}/pods"
    try:
        await api.create(path, probe_pod(bad=False), dry_run=True)
    except NotFound:
        return f"namespace {PROBE_NAMESPACE} is missing; {_AGAIN}"
    except ApiError as error:
        return f"a tenant's plain pod is refused: {error.message}"
    return await find_pod_fault(api, PROBE_NAMESPACE, PROBE_UID)
