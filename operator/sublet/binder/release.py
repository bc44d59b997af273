"""The release protocol, from the decision to a free node. Every step may be repeated; a restart begins again.

Nothing is destroyed before `status.release` is written or re-read live (a paused ex-leader stops there). Access goes
first, then the namespace, then its pods; the node is free when a live list shows none. An unreachable cluster holds
everything up: unreachable is not free.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

import msgspec

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim, PlacedNode
from sublet.api.ids import ClaimUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.binder.locks import node_path, unlock_node
from sublet.binder.namespace import CLAIM_LABEL, TENANT_ACCOUNT
from sublet.binder.ports import Tools
from sublet.binder.sites import Site, sites_of
from sublet.binder.slots import Urgency
from sublet.kube.errors import Conflict, Forbidden, NotFound
from sublet.kube.wire import HasMeta, Node, Pod

GRACE_SECONDS: Final = 30
_POD_WAIT_SECONDS: Final = 0.25
_POD_TRIES: Final = 40
"""Then the step is tried again from the start, with back-off."""


class StillThere(Exception):  # noqa: N818  the name is the state
    """Pods or a quarantine hold the node; look again later."""

    def __init__(self, message: str, wait_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class _PodList(HasMeta):
    items: list[Pod] = msgspec.field(default_factory=list)


async def release(claim: GpuClaim, tools: Tools) -> GpuClaim | None:
    """Take a releasing claim's GPUs back; returns it as written last, None when nothing is left of it.

    ClusterSilent, StillThere and the API's errors: try again later.
    """
    live = await tools.claims.get(claim)
    if live is None:
        return None
    if live.status.release is None:
        raise ValueError(f"claim {claim.metadata.key} has no release")
    claim = live
    sites = sites_of(claim, tools)
    await asyncio.gather(*(_shut_out(site) for site in sites))
    await asyncio.gather(*(_empty(site) for site in sites))
    claim = await _rest(claim, sites, tools)
    uid = ClaimUID(claim.metadata.uid)
    await asyncio.gather(*(_free(site, uid, place) for site in sites for place in site.places))
    if claim_status.released_ms(claim) is None:
        claim = await tools.claims.write_status(
            claim, claim_status.released(claim, tools.clock.now_ms())
        )
    return await finish(claim, tools)


async def retreat(sites: list[Site], uid: ClaimUID) -> None:
    """Give back what a claim took that can't have all of its nodes, also what an earlier try left behind."""
    await asyncio.gather(*(_shut_out(site) for site in sites))
    await asyncio.gather(*(_empty(site) for site in sites))
    await asyncio.gather(*(_free(site, uid, place) for site in sites for place in site.places))


async def finish(claim: GpuClaim, tools: Tools) -> GpuClaim | None:
    """Bring the last lines into the ledger; then a deleted claim may go."""
    await tools.meter.settle(claim)
    if claim.metadata.deletion_timestamp is None:
        return claim
    await tools.claims.remove_finalizer(claim)
    return None


async def _shut_out(site: Site) -> None:
    """Take the tenant's rights (403 at once), then its account (401 within seconds), then the namespace."""
    api, name = site.cluster.api, site.home.name
    async with site.slots.take(Urgency.RELEASE):
        path = f"/api/v1/namespaces/{name}"
        try:
            home: dict[str, Any] = await api.get(path)
        except NotFound:
            return
        if (home["metadata"].get("labels") or {}).get(CLAIM_LABEL) != site.home.claim_uid:
            return  # not ours: it is never touched
        roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/rolebindings"
        for binding in ("sublet-tenant", "sublet-tenant-extra"):
            with suppress(NotFound):
                await api.delete(f"{roles}/{binding}")
        with suppress(NotFound):
            await api.delete(f"{path}/serviceaccounts/{TENANT_ACCOUNT}")
        # before the pods, or a Deployment makes them again
        with suppress(NotFound, Conflict):
            await api.delete(path, uid=home["metadata"]["uid"])


async def _empty(site: Site) -> None:
    """Delete the pods at once and wait until a live list shows none."""
    api, path = site.cluster.api, f"/api/v1/namespaces/{site.home.name}/pods"
    options = msgspec.json.encode(
        {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": GRACE_SECONDS}
    )
    for attempt in range(_POD_TRIES):
        async with site.slots.take(Urgency.RELEASE):
            pods = (await api.get_as(path, _PodList)).items
            if not pods:
                return
            if attempt == 0:
                with suppress(NotFound, Forbidden):
                    await api.request("DELETE", path, body=options)
        await asyncio.sleep(_POD_WAIT_SECONDS)
    raise StillThere(f"waiting for {len(pods)} pods of the claim to end at {site.alias}")


async def _rest(claim: GpuClaim, sites: list[Site], tools: Tools) -> GpuClaim:
    """Let the nodes rest where the lease asks for it: a quarantine since the last pod, or the landlord's clean label."""
    seconds = max((s.lease.spec.term.quarantine_seconds for s in sites), default=0)
    labelled = [s for s in sites if s.lease.spec.term.clean_label is not None]
    if (not seconds and not labelled) or claim.status.release is None:
        return claim
    if claim.status.release.vacated_time is None:
        status = claim_status.vacated(claim, tools.clock.now_ms())
        claim = await tools.claims.write_status(claim, status)
    vacated = claim.status.release.vacated_time if claim.status.release else None
    until = Millis((vacated or 0) + seconds * MS_PER_SECOND)
    left = (until - tools.clock.now_ms()) / MS_PER_SECOND
    if left > 0:
        raise StillThere(f"the nodes rest for another {left:.0f} seconds", left)
    for site in labelled:
        await asyncio.gather(*(_see_clean(site, place) for place in site.places))
    return claim


async def _see_clean(site: Site, place: PlacedNode) -> None:
    """Look live whether the landlord has wiped a node; one that is gone needs no wiping."""
    label = site.lease.spec.term.clean_label or ""
    try:
        node = await site.cluster.api.get_as(node_path(place.node), Node)
    except NotFound:
        return
    if node.metadata.uid == place.node_uid and node.metadata.labels.get(label) != "true":
        raise StillThere(f"waiting for the label {label} on node {place.node}", 5.0)


async def _free(site: Site, uid: ClaimUID, place: PlacedNode) -> None:
    async with site.slots.take(Urgency.RELEASE):
        await unlock_node(site.cluster, place, uid)
