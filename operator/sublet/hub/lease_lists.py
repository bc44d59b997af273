"""Writes what claims left in clusters into their leases' statuses, one entry at a time, each a compare-and-set.

Implements `sublet.binder.ports.LeaseLists`. The answer goes into our state, so that the next write of the status, by the
pass, is made of it. What outran a write is read, and the write made again from that by whoever asked for it.
"""

from contextlib import suppress
from typing import Any, Final

from sublet.api.gpulease import GpuLease
from sublet.api.kinds import LEASES
from sublet.api.last_word import Leftover, count_fitting
from sublet.api.wording import how_many
from sublet.binder.ports import StillThere
from sublet.hub.feeders import read_anew
from sublet.hub.state import HubState
from sublet.kube.errors import Conflict, Invalid, KubeError, NotFound
from sublet.kube.session import ApiServer, JsonPatch

_SOON_SECONDS: Final = 0.2
_DUMP: Final[dict[str, Any]] = {"mode": "json", "by_alias": True, "exclude_none": True}


class HubLeaseLists:
    """Adds, changes and removes entries."""

    def __init__(self, hub: ApiServer, state: HubState) -> None:
        self._hub = hub
        self._state = state

    async def leave(self, lease: GpuLease, left: Leftover) -> None:
        """List what a claim leaves, if it isn't yet; StillThere if the list is full or the lease changed meanwhile."""
        known = lease.status.leftovers
        if any(x.claim_uid == left.claim_uid for x in known):
            return
        if not count_fitting(known, [left]):
            raise StillThere(
                f"{lease.spec.tenant_alias} lists {how_many(len(known), 'forced release')}, and has room for no more",
                30.0,
            )
        await self._write(lease, (*known, left))

    async def change(self, lease: GpuLease, left: Leftover, into: Leftover | None) -> None:
        """Replace one entry, or take it off the list; StillThere if the lease changed meanwhile."""
        new = [] if into is None else [into]
        found = [
            x
            for each in lease.status.leftovers
            for x in (new if each.claim_uid == left.claim_uid else [each])
        ]
        await self._write(lease, tuple(found))

    async def _write(self, lease: GpuLease, leftovers: tuple[Leftover, ...]) -> None:
        if leftovers == lease.status.leftovers:
            return
        meta = lease.metadata
        value = [left.model_dump(**_DUMP) for left in leftovers]
        patch: JsonPatch = [
            {"op": "test", "path": "/metadata/uid", "value": meta.own_uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version},
            {"op": "add", "path": "/status/leftovers", "value": value},
        ]
        try:
            answer = await self._hub.patch(LEASES.path("", meta.name, "status"), patch)
        except NotFound:
            return  # the lease is gone, and its list with it
        except (Invalid, Conflict) as error:
            with suppress(KubeError):  # whoever asked asks again
                await read_anew(self._hub, self._state, LEASES, meta.name)
            raise StillThere("the lease changed meanwhile", _SOON_SECONDS) from error
        self._state.shelf(LEASES.plural).take(answer)
