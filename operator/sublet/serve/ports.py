"""What is shown, as a small interface that the hub's state fulfils."""

from collections.abc import Mapping
from typing import Protocol

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import LeaseUID, NodeName, TenantUID
from sublet.book.account import Account
from sublet.book.inventory import NodeState
from sublet.fleet.facts import ClusterHealth


class Observed(Protocol):
    """A look at the operator's memory."""

    @property
    def ready(self) -> bool:
        """Say whether the hub was read; leased clusters never make this false."""

    @property
    def leads(self) -> bool:
        """Say whether this replica writes."""

    def claims(self) -> tuple[GpuClaim, ...]:
        """Return all claims."""

    def leases(self) -> tuple[GpuLease, ...]:
        """Return all leases."""

    def classes(self) -> tuple[GpuClass, ...]:
        """Return all classes."""

    def tenants(self) -> tuple[GpuTenant, ...]:
        """Return all tenants."""

    def accounts(self) -> Mapping[TenantUID, Account]:
        """Return what is known of tenants' spend."""

    def cluster(self, uid: LeaseUID) -> ClusterHealth:
        """Return the health of a lease's cluster."""

    def nodes(self, uid: LeaseUID) -> Mapping[NodeName, NodeState]:
        """Return a lease's nodes as last seen."""

    def hub_ahead_seconds(self) -> int | None:
        """Return by how much the hub's clock is ahead of ours; None if it hasn't said."""
