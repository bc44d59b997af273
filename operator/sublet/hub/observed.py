"""The operator's memory as `sublet.serve` sees it."""

from collections.abc import Callable, Mapping

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import LeaseUID, NodeName, TenantUID
from sublet.book.account import Account
from sublet.book.inventory import LeaseInventory, NodeState, Reach
from sublet.fleet.expiry import expires_ms
from sublet.fleet.facts import ClusterHealth
from sublet.fleet.registry import Fleet
from sublet.hub.accounts import Accounts
from sublet.hub.state import HubState


class Memory:
    """Reads hub state and fleet; implements `sublet.serve.ports.Observed`."""

    def __init__(
        self,
        state: HubState,
        fleet: Fleet,
        accounts: Accounts,
        leads: Callable[[], bool],
        hub_ahead: Callable[[], int | None],
    ) -> None:
        self._state = state
        self._fleet = fleet
        self._accounts = accounts
        self._leads = leads
        self._hub_ahead = hub_ahead

    @property
    def ready(self) -> bool:
        """Say whether the hub was read."""
        return self._state.synced

    @property
    def leads(self) -> bool:
        """Say whether this replica writes."""
        return self._leads()

    def claims(self) -> tuple[GpuClaim, ...]:
        """Return all claims."""
        return self._state.claims.all()

    def leases(self) -> tuple[GpuLease, ...]:
        """Return all leases."""
        return self._state.leases.all()

    def classes(self) -> tuple[GpuClass, ...]:
        """Return all classes."""
        return self._state.classes.all()

    def tenants(self) -> tuple[GpuTenant, ...]:
        """Return all tenants."""
        return self._state.tenants.all()

    def accounts(self) -> Mapping[TenantUID, Account]:
        """Return what is known of tenants' spend."""
        return self._accounts.known.accounts

    def cluster(self, uid: LeaseUID) -> ClusterHealth:
        """Return the health of a lease's cluster."""
        found = self._fleet.connection(uid)
        if found is None:
            return ClusterHealth(reachable=False, stale_seconds=float("inf"))
        reachable = found.facts.reach is Reach.REACHABLE
        # the token for the hub's own nodes lasts an hour, and the operator itself renews it
        is_given = found.lease.spec.cluster_ref.kubeconfig_secret_ref is not None
        return ClusterHealth(
            reachable,
            found.stale_seconds,
            found.facts.clock_ahead_seconds,
            seen_ms=found.seen_ms,
            credentials_expire_ms=expires_ms(found.api.endpoint) if is_given else None,
        )

    def nodes(self, uid: LeaseUID) -> Mapping[NodeName, NodeState]:
        """Return a lease's nodes as last seen."""
        return self._fleet.inventories().get(uid, LeaseInventory(uid)).nodes

    def hub_ahead_seconds(self) -> int | None:
        """Return by how much the hub's clock is ahead of ours, by its newest answer to the election."""
        return self._hub_ahead()
