"""One reading of everything: what `find_violations` judges. Pure data; holds no credential and no Secret's content.

Made by `sublet.verify.reader`, or by hand in tests. Whatever couldn't be read is None and stands in `unknown`: nothing is
concluded from it. What nobody asked for, or no right allows, stands in `unchecked`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.entry import Entry

NodeKey = tuple[ClusterUID, NodeUID]
"""A node, and in which cluster: a landlord can show the UIDs of another's nodes."""


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """One node of a leased cluster with our marks."""

    name: str
    uid: NodeUID
    gpus: int
    """The most that it shows, allocatable, capacity or label, or showed to this reader before; 0 if none ever."""
    is_steady: bool = True
    """Allocatable, capacity and label agree, and it shows as many as ever: no GPU fell out under its claims."""
    lease_uid: LeaseUID | None = None
    """Label `sublet.dev/lease`."""
    pool: str | None = None
    """Value of the pool taint."""
    book: str | None = None
    """Annotation `sublet.dev/allocation` as it is, None if there is none."""
    claim_labels: frozenset[ClaimUID] = frozenset()
    """Of the labels `claim.sublet.dev/<claim UID>`."""
    tenant_uid: TenantUID | None = None
    """Annotation `sublet.dev/tenant`."""
    sharing: str | None = None
    """Annotation `sublet.dev/sharing` as it is, None if there is none."""
    leaving: frozenset[ClaimUID] = frozenset()
    """Those that leave it, by the values of these labels or an older version's annotation `sublet.dev/leaving`."""
    unwiped: frozenset[ClaimUID] = frozenset()
    """Claims that annotation `sublet.dev/unwiped` names."""
    is_shunned: bool = False
    """It has an older version's taint `sublet.dev/leaving`."""


@dataclass(frozen=True, slots=True)
class NamespaceSeen:
    """One claim namespace; what couldn't be read of its content is None."""

    name: str
    claim_uid: ClaimUID | None
    """Label `sublet.dev/claim`."""
    is_ending: bool = False
    """It has a deletionTimestamp."""
    has_quota: bool | None = None
    quota_gpus: int | None = None
    """GPUs of the quota's spec, None if it names none."""
    is_quota_live: bool | None = None
    """The quota's status.hard equals its spec."""
    has_policy: bool | None = None
    """Its NetworkPolicy is there."""
    has_account: bool | None = None
    """The tenant's ServiceAccount is there."""
    has_binding: bool | None = None
    """The tenant's RoleBinding is there."""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """One pod of a claim namespace that a node was found for and that isn't over."""

    namespace: str
    name: str
    node: str


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """One leased cluster; two leases of one cluster share it."""

    uid: ClusterUID
    name: str
    """What people call it: the names of its leases."""
    lease_uids: frozenset[LeaseUID]
    nodes: tuple[NodeSeen, ...] | None = None
    namespaces: tuple[NamespaceSeen, ...] | None = None
    """Of claims; all of them, or those alone that claims of the hub may have if the others can't be listed."""
    pods: tuple[PodSeen, ...] | None = None


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """Metadata of one Secret of type sublet.dev/kubeconfig on the hub."""

    namespace: str
    name: str
    claim_uid: ClaimUID | None
    """The GpuClaim that owns it, None if none does."""


@dataclass(frozen=True, slots=True)
class LedgerSeen:
    """The whole ledger."""

    entries: tuple[Entry, ...] = ()
    fault: str | None = None
    """What its own proof of the chain found."""
    missing_terms: frozenset[str] = frozenset()
    """Hashes of prices and tags that entries name and of which the text isn't there."""


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that looks like a credential where none may be; what it is, never its bytes."""

    subject: str
    place: str
    """Such as `status` or `annotations`."""
    kind: str
    """Such as `a token`."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that couldn't be read: nothing is concluded from it."""

    subject: str
    message: str
    """Why, and what to do."""


@dataclass(frozen=True, slots=True)
class World:
    """Hub, leased clusters and ledger, read one after the other."""

    now_ms: Millis
    claims: tuple[GpuClaim, ...] = ()
    leases: tuple[GpuLease, ...] = ()
    secrets: tuple[SecretSeen, ...] | None = ()
    clusters: tuple[ClusterSeen, ...] = ()
    ledger: LedgerSeen | None = None
    leaks: tuple[Leak, ...] = ()
    moving: frozenset[ClaimUID] = frozenset()
    """Claims that were written, made or gone while the rest was read: nothing is said of them across planes."""
    hidden: frozenset[str] = frozenset()
    """UIDs of claims and leases that are there and couldn't be parsed; each is in `unknown`."""
    awaited: frozenset[str] = frozenset()
    """UIDs that restored claims and leases had, which nobody has adopted yet: known, and nothing is judged of them."""
    unknown: tuple[Unknown, ...] = ()
    unchecked: Mapping[str, str] = field(default_factory=dict)
    """what wasn't looked at -> why, and how to have it looked at"""
    spec_changed: Mapping[LeaseUID, Millis] = field(default_factory=dict)
    """lease -> since when its contract is as it is now; missing where nobody knows"""
