"""The connections to leased clusters: one per lease, with the credential that the hub has for it now.

Kept by the loop at the begin of each pass, by every replica, so that one that takes over sees what there is.
"""

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.fleet.credential import CREDENTIALS_LABEL, Credential
from sublet.fleet.registry import Fleet
from sublet.hub.in_cluster import HubIdentity
from sublet.hub.state import HubState
from sublet.logs import log_about_object


class Connections:
    """Brings the fleet in line with the leases of the hub."""

    def __init__(self, state: HubState, fleet: Fleet, own: HubIdentity) -> None:
        self._state = state
        self._fleet = fleet
        self._own = own
        self._engaged: set[LeaseUID] = set()

    async def keep(self) -> None:
        """Keep one connection per lease; a lease that is gone is let go when its nodes are handed back."""
        wanted: set[LeaseUID] = set()
        for lease in self._state.leases.all():
            wanted.add(LeaseUID(lease.metadata.uid))
            try:
                await self._engage(lease)
            except Exception as error:  # noqa: BLE001  a stranger's credential must not end the pass for all others
                # its type alone: the text may quote the credential
                log = log_about_object("GpuLease", lease.metadata.name)
                log.warning("lease not engaged", error=type(error).__name__)
        for uid in self._engaged - wanted:
            await self._fleet.disengage(uid)
        self._engaged = wanted

    async def _engage(self, lease: GpuLease) -> None:
        ref = lease.spec.cluster_ref.kubeconfig_secret_ref
        if ref is None:
            own = self._own.credential()
            await self._fleet.engage(lease, own)
            facts = self._fleet.facts(LeaseUID(lease.metadata.uid))
            if own.endpoint is not None and facts.credentials_error is not None:
                self._own.refused()
            return
        data = self._state.credentials.get(ref.name, {}).get(ref.key)
        missing = (
            f"Secret {ref.name!r} with key {ref.key!r} and label {CREDENTIALS_LABEL} isn't in the operator's "
            "namespace; `sublet onboard` makes it"
        )
        version = self._state.credential_versions.get(ref.name, "")
        await self._fleet.engage(
            lease, Credential(kubeconfig=data, missing=missing, version=version)
        )
