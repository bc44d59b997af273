"""The fleet as the book sees it: nodes of a lease with their own books.

Written by `sublet.fleet` from what a leased cluster showed last; read by the book alone. A lease that can't be
reached keeps its last inventory: unreachable is not free.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sublet.api.gpulease import NodeSharing
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeName, NodeUID, TenantUID
from sublet.api.times import Millis


class Reach(StrEnum):
    """Whether the leased cluster answers."""

    REACHABLE = "Reachable"
    UNREACHABLE = "Unreachable"
    """It answered with an error that says so (401, another cluster's identity …)."""
    UNKNOWN = "Unknown"
    """It doesn't answer, or never has."""


class Unfit(StrEnum):
    """Why a node's GPUs can't be sold, a closed set; first match in this order."""

    BOOK_UNREADABLE = "BookUnreadable"
    """Its own book is malformed, or disagrees with its claim labels."""
    QUARANTINED = "Quarantined"
    """What it says of itself disagrees with what claims have; nobody is sold it until that is cleared up."""
    NODE_OVERLAP = "NodeOverlap"
    """Another lease's label is on it."""
    FOREIGN_PODS = "ForeignPods"
    """Pods that aren't a claim's hold its GPUs."""
    WRONG_PRODUCT = "WrongProduct"
    """Its product label is none of the lease's names."""
    LABELS_MISSING = "LabelsMissing"
    """It lacks the labels of GPU feature discovery, and no GPU that its own book gives away."""
    MIG = "Mig"
    """Its GPUs are cut into MIG slices."""
    SHARING = "Sharing"
    """Time-slicing or MPS multiplies its GPUs."""
    COUNT_MISMATCH = "CountMismatch"
    """More GPUs are allocatable than the labels say."""
    GPUS_LOST = "GpusLost"
    """Fewer GPUs are allocatable than the labels or its own book say: the device plugin doesn't show them, or calls them
    unhealthy."""
    NOT_READY = "NotReady"
    """The kubelet isn't Ready."""
    CORDONED = "Cordoned"
    """Unschedulable, by anyone's hand."""
    UNHEALTHY = "Unhealthy"
    """The health table says so (conditions, taints, labels)."""
    UPGRADING = "Upgrading"
    """The GPU driver is being upgraded."""
    LEAVING = "Leaving"
    """A claim is leaving it, and no new pod of that claim may come to it meanwhile; what ails it for others comes first."""
    NOT_WIPED = "NotWiped"
    """A claim's pods have left it, and its landlord hasn't said since that it is wiped."""
    SETTLING = "Settling"
    """Some GPUs were missing and came back only lately: a fault that comes and goes is nobody's to buy."""
    NOT_ADOPTED = "NotAdopted"
    """Not yet labelled and tainted as ours, or not yet read back."""


SICK = frozenset({Unfit.GPUS_LOST, Unfit.NOT_READY, Unfit.UNHEALTHY})
"""A node fails, as against one that somebody drains, upgrades or relabels."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One entry of a node's own book."""

    claim_uid: ClaimUID
    gpus: int


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node of a lease, as last seen."""

    name: NodeName
    uid: NodeUID
    product: str
    gpus: int
    """Whole GPUs that the node has: allocatable, or what it had last when it shows 0 for a moment."""
    holdings: tuple[Holding, ...] = ()
    """The node's own book; the truth about possession."""
    tenant_uid: TenantUID | None = None
    """Who holds it, while the book isn't empty and sharing is not AnyTenant."""
    sharing: NodeSharing = NodeSharing.SAME_TENANT
    """As written on the node at adoption; it changes only while the node is free."""
    unfit: Unfit | None = None
    """Why it can't be sold; None: sellable."""
    memory_mib: int | None = None
    """Memory of one GPU."""
    clique: str | None = None
    """NVLink domain; None is unknown, never "the same"."""
    zone: str | None = None
    """Failure domain, if the node names one."""
    sick_since_ms: Millis | None = None
    """Since when it was seen not ready or unhealthy, by our clock; 0: when it was seen first; None: it isn't."""
    is_ready: bool = True
    """Its kubelet says that it is Ready, whatever else is wrong with it."""
    shows: int | None = None
    """GPUs that it shows, if they are fewer than its labels or its own book say; None: as many, or nobody can tell."""
    settles_ms: int | None = None
    """When GPUs that came back are trusted again, by our monotonic clock; None: none were missing lately."""

    @property
    def held(self) -> int:
        """Return the GPUs that the node's own book gives away."""
        return sum(h.gpus for h in self.holdings)


@dataclass(frozen=True, slots=True)
class LeaseInventory:
    """Everything known of one lease's nodes, all from one cluster."""

    lease_uid: LeaseUID
    reach: Reach = Reach.UNKNOWN
    synced: bool = False
    """The node list was read to its end at least once; before that nothing may be sold."""
    isolation_ready: bool = False
    """The admission policies were proven; nothing is sold while they aren't."""
    isolation_fault: bool = False
    """They were tried and found wanting, which is more than not knowing."""
    cluster_uid: ClusterUID | None = None
    gone: frozenset[NodeUID] = frozenset()
    """Nodes that were asked for by name and aren't there any more."""
    generation: int = 0
    """Rises with every change of `nodes`."""
    nodes: Mapping[NodeName, NodeState] = field(default_factory=dict)
    """node name -> node"""
