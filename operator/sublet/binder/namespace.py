"""The claim namespace and what stands in it, as plain objects. Pure.

`sublet-<claim UID>-<sequence>`: never used twice, named by UIDs alone so that no tenant's text reaches a name. What
the lease's `tenantAccess` sells is in its annotations, where the pod policy reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from sublet.api.gpuclass import HostShare
from sublet.api.ids import ClaimUID
from sublet.api.lease_terms import Egress, PodSecurity, TenantAccess
from sublet.api.networks import network_of
from sublet.fleet.isolation import EXTRA_ROLE, TENANT_ACCOUNT, TENANT_ROLE
from sublet.fleet.networks import NEVER_V4, NEVER_V6, NODE_LOCAL_DNS, TRANSLATED_V6

T = TypeVar("T")

CLAIM_LABEL: Final = "sublet.dev/claim"
EXTRA_RESOURCES: Final = "sublet.dev/extra-resources"
CAPABILITIES: Final = "sublet.dev/capabilities"
QUOTA: Final = "sublet"
_DISK: Final = "ephemeral-storage"
"""A node's own disk, as Kubernetes counts it."""
MAX_PODS: Final = 500
PODS_PER_GPU: Final = 12
"""Where other claims may be on the nodes: a kubelet runs 110 pods, eight GPUs' tenants and the landlord's own DaemonSets."""
MAX_SOLD: Final = 500
"""Objects of each kind that a lease's `roleRules` add."""
_MOST: Final[Mapping[str, str]] = {
    "pods": str(MAX_PODS),
    "count/pods": "1k",
    "secrets": "200",
    "configmaps": "200",
    "services": "200",
    "persistentvolumeclaims": "100",
    "requests.storage": "50Ti",
    "count/deployments.apps": "50",
    "count/replicasets.apps": "600",
    "count/statefulsets.apps": "50",
    "count/controllerrevisions.apps": "600",
    "count/jobs.batch": "500",
    "count/cronjobs.batch": "50",
}
"""The most that one namespace takes of what all tenants of a cluster share: its store, its addresses, the landlord's disks.

Pods are counted twice: those that run, and all, since those that ended are in the store too.
More than training asks for: a Deployment or StatefulSet keeps its present and its ten last revisions.
"""

Objects = list[tuple[str, dict[str, Any]]]
"""(URL path for server-side apply, object)"""


@dataclass(frozen=True, slots=True)
class Home:
    """What one claim's namespace in one cluster is made from."""

    claim_uid: ClaimUID
    sequence: int
    gpus: int
    access: TenantAccess
    server: str
    host_share: HostShare | None
    """Set where the claim has a part of a node, so that CPU and memory are limited too."""
    is_beside_others: bool = False
    """Other claims may be on one of its nodes, and want some of its slots for pods."""

    @property
    def name(self) -> str:
        """Return the namespace's name."""
        return namespace_name(self.claim_uid, self.sequence)


def common_access(every: Sequence[TenantAccess]) -> TenantAccess:
    """Return what all of these allow: leases of one cluster share a claim's namespace."""
    first, *others = every
    if all(other == first for other in others):
        return first
    return TenantAccess(
        egress=Egress.NONE if any(a.egress is Egress.NONE for a in every) else Egress.INTERNET,
        denied_cidrs=tuple(sorted({c for a in every for c in a.denied_cidrs})),
        pod_security=PodSecurity.RESTRICTED
        if any(a.pod_security is PodSecurity.RESTRICTED for a in every)
        else PodSecurity.BASELINE,
        extra_resources=_in_all([a.extra_resources for a in every]),
        capabilities=_in_all([a.capabilities for a in every]),
        role_rules=_in_all([a.role_rules for a in every]),
    )


def _in_all(lists: Sequence[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(x for x in lists[0] if all(x in other for other in lists[1:]))


def namespace_name(claim_uid: str, sequence: int) -> str:
    """Return the name of a claim's namespace."""
    return f"sublet-{claim_uid}-{sequence}"


def namespace(home: Home) -> dict[str, Any]:
    """Return the Namespace with its claim label and Pod Security level, which must be there at creation."""
    access = home.access
    annotations = {}
    if access.extra_resources:
        annotations[EXTRA_RESOURCES] = ",".join(access.extra_resources)
    if access.capabilities:
        annotations[CAPABILITIES] = ",".join(access.capabilities)
    # Pod Security `baseline` refuses every capability that is sold; the pod policy holds baseline's rules instead
    level = "privileged" if access.capabilities else access.pod_security.value
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": home.name,
            "labels": {CLAIM_LABEL: home.claim_uid, "pod-security.kubernetes.io/enforce": level},
            "annotations": annotations,
        },
    }


def contents(home: Home) -> Objects:
    """Return everything inside the namespace, in no order: nothing of it matters before the token is out."""
    objects = [
        _object(
            home,
            "v1",
            "ResourceQuota",
            "resourcequotas",
            QUOTA,
            {"spec": {"hard": quota_hard(home)}},
        ),
        _object(home, "v1", "ServiceAccount", "serviceaccounts", TENANT_ACCOUNT, {}),
        _network_policy(home),
        _binding(home, "sublet-tenant", "ClusterRole", TENANT_ROLE),
    ]
    if home.host_share is not None:
        objects.append(_limit_range(home, home.host_share))
    if home.access.role_rules:
        objects += [_extra_role(home), _binding(home, EXTRA_ROLE, "Role", EXTRA_ROLE)]
    return objects


def quota_hard(home: Home) -> dict[str, str]:
    """Return the quota: exactly the claim's GPUs, no ways in from outside, no device claims, no more objects than fit."""
    sold = {f"count/{x}.{r.api_group}" for r in home.access.role_rules for x in r.resources}
    hard = {
        "requests.nvidia.com/gpu": str(home.gpus),
        **{each: str(MAX_SOLD) for each in sorted(sold) if "/" not in each.removeprefix("count/")},
        **_MOST,
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        "count/resourceclaims.resource.k8s.io": "0",
        "count/resourceclaimtemplates.resource.k8s.io": "0",
    }
    if home.is_beside_others:
        hard["pods"] = str(PODS_PER_GPU * home.gpus)
    share = home.host_share
    if share is not None:
        cpu, memory = (
            str(share.cpu_per_gpu * home.gpus),
            f"{share.memory_mi_b_per_gpu * home.gpus}Mi",
        )
        hard |= {
            "requests.cpu": cpu,
            "limits.cpu": cpu,
            "requests.memory": memory,
            "limits.memory": memory,
        }
    if share is not None and share.storage_mi_b_per_gpu is not None:
        storage = f"{share.storage_mi_b_per_gpu * home.gpus}Mi"
        hard |= {f"requests.{_DISK}": storage, f"limits.{_DISK}": storage}
    return hard


def _limit_range(home: Home, share: HostShare) -> tuple[str, dict[str, Any]]:
    """Give containers that name no CPU, memory or disk one GPU's share, or the quota would refuse them."""
    default = {"cpu": str(share.cpu_per_gpu), "memory": f"{share.memory_mi_b_per_gpu}Mi"}
    small = {"cpu": "100m", "memory": "128Mi"}
    if share.storage_mi_b_per_gpu is not None:
        default[_DISK] = f"{share.storage_mi_b_per_gpu}Mi"
        small[_DISK] = "64Mi"
    limits = [{"type": "Container", "default": default, "defaultRequest": small}]
    return _object(home, "v1", "LimitRange", "limitranges", QUOTA, {"spec": {"limits": limits}})


def _network_policy(home: Home) -> tuple[str, dict[str, Any]]:
    """Deny by default; allow the own namespace and DNS, and the Internet where it was bought."""
    own: dict[str, Any] = {"podSelector": {}}
    dns = {
        "to": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
            {"ipBlock": {"cidr": NODE_LOCAL_DNS}},
        ],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
    egress: list[dict[str, Any]] = [{"to": [own]}, dns]
    if home.access.egress is Egress.INTERNET:
        blocks = internet(home.access.denied_cidrs, home.server)
        egress += [{"to": [{"ipBlock": block} for block in blocks]}] if blocks else []
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [own]}],
        "egress": egress,
    }
    path = f"/apis/networking.k8s.io/v1/namespaces/{home.name}/networkpolicies/{QUOTA}"
    return path, _named("networking.k8s.io/v1", "NetworkPolicy", home, QUOTA, {"spec": spec})


def internet(denied: Sequence[str], server: str) -> list[dict[str, Any]]:
    """Return the IP blocks of the Internet without what is always denied, what the lease denies, and the API.

    There is no block where a network that the lease denies can't be read: nobody knows what else would be open.
    """
    networks = [network_of(text) for text in denied]
    if None in networks:
        return []
    never: dict[int, set[str]] = {
        4: set(NEVER_V4),
        6: {*NEVER_V6, *TRANSLATED_V6},
    }  # IP version -> networks
    # of a host name the address is not known here
    for network in (*networks, network_of(urlsplit(server).hostname or "")):
        if network is not None:
            never[network.version].add(str(network))
    # the API takes no exception as large as the block itself: then there is no block
    return [
        {"cidr": whole, "except": sorted(never[version])}
        for version, whole in ((4, "0.0.0.0/0"), (6, "::/0"))
        if whole not in never[version]
    ]


def _binding(home: Home, name: str, kind: str, role: str) -> tuple[str, dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": TENANT_ACCOUNT, "namespace": home.name}
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
    body = {"roleRef": role_ref, "subjects": [subject]}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{home.name}/rolebindings/{name}"
    return path, _named("rbac.authorization.k8s.io/v1", "RoleBinding", home, name, body)


def _extra_role(home: Home) -> tuple[str, dict[str, Any]]:
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
    rules = [
        {"apiGroups": [rule.api_group], "resources": list(rule.resources), "verbs": verbs}
        for rule in home.access.role_rules
    ]
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{home.name}/roles/{EXTRA_ROLE}"
    return path, _named("rbac.authorization.k8s.io/v1", "Role", home, EXTRA_ROLE, {"rules": rules})


def _object(
    home: Home, version: str, kind: str, plural: str, name: str, body: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    return f"/api/v1/namespaces/{home.name}/{plural}/{name}", _named(
        version, kind, home, name, body
    )


def _named(
    version: str, kind: str, home: Home, name: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": kind,
        # whose it is, so that what somebody else made under this name is never taken for ours
        "metadata": {
            "name": name,
            "namespace": home.name,
            "labels": {CLAIM_LABEL: home.claim_uid},
        },
        **body,
    }
