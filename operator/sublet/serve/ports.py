"""What is shown, as a small interface that the hub's state fulfils."""

from typing import Protocol

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import LeaseUID
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

    def tenants(self) -> tuple[GpuTenant, ...]:
        """Return all tenants."""

    def cluster(self, uid: LeaseUID) -> ClusterHealth:
        """Return the health of a lease's cluster."""
