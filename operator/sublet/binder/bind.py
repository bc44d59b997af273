"""The bind protocol, from Reserved to Bound. Every step may be repeated; a restart begins at the first one again.

Locks first (the first node by name alone, the rest at once), then each cluster's namespace and contents at once, then
the proofs, then the token, the Secret, and one compare-and-set that says Bound. The only hard order inside: the
kubeconfig is handed over after the quota is live and the probe was refused.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.binder import namespace, proof
from sublet.binder.access import Grant, request_token, write_secret
from sublet.binder.locks import lock_node
from sublet.binder.ports import LostRace, Tools
from sublet.binder.release import retreat
from sublet.binder.sites import Site, sites_of
from sublet.binder.slots import Urgency
from sublet.kube.errors import Conflict

Checkpoint = Callable[[], None]
"""Raises Interrupted where the protocol should stop between two steps."""


async def bind(claim: GpuClaim, tools: Tools, checkpoint: Checkpoint) -> GpuClaim:
    """Bring a reserved claim to Bound; returns it as written.

    LostRace: it can't have a node (its own entries are off again). ClusterSilent, IsolationFault,
    LedgerUnavailable and the API's errors: try again later, nothing is lost.
    """
    sites = sites_of(claim, tools)
    async with tools.promises.under_way(), _step(tools, "lock"):
        await _lock_all(claim, sites)
    await tools.promises.stand_back()
    checkpoint()
    async with _step(tools, "namespace"):
        await asyncio.gather(*(_furnish(site) for site in sites))
    checkpoint()
    async with _step(tools, "prove"):
        grants = list(await asyncio.gather(*(_prove(site, tools) for site in sites)))
    checkpoint()
    return await _hand_over(claim, grants, tools)


async def _lock_all(claim: GpuClaim, sites: list[Site]) -> None:
    """Lock every node or none."""
    allocation = claim.status.allocation
    if allocation is None:
        raise ValueError(f"claim {claim.metadata.key} has no allocation")
    uid, tenant = ClaimUID(claim.metadata.uid), TenantUID(allocation.tenant_uid)
    places = sorted(
        ((s, p) for s in sites for p in s.places), key=lambda sp: (sp[0].alias, sp[1].node)
    )

    async def lock(index: int) -> None:
        site, place = places[index]
        async with site.slots.take(Urgency.LOCK):
            await lock_node(site.cluster, _lease_of(site, place.lease_uid), place, uid, tenant)

    try:
        # most losers lose on the first request, and nobody ever waits for a lock
        await lock(0)
        results = await asyncio.gather(
            *(lock(i) for i in range(1, len(places))), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
    except LostRace:
        await retreat(sites, uid)
        raise


async def _furnish(site: Site) -> None:
    """Make the namespace, then everything in it at once."""
    api, home = site.cluster.api, site.home
    async with site.slots.take(Urgency.SETUP):
        with suppress(Conflict):  # a repeated step, or the other operator's
            await api.create("/api/v1/namespaces", namespace.namespace(home))
        await asyncio.gather(*(api.apply(path, obj) for path, obj in namespace.contents(home)))


async def _prove(site: Site, tools: Tools) -> Grant:
    """See quota and policy live, then mint the token and see the tenant through it."""
    api, home = site.cluster.api, site.home
    async with site.slots.take(Urgency.SETUP):
        _, _, (token, expires_ms) = await asyncio.gather(
            proof.see_quota(api, home.name, namespace.quota_hard(home)),
            proof.see_policy(api, home.name, home.claim_uid),
            request_token(api, home.name, tools.token_life_seconds),
        )
        await proof.see_tenant(api, home.name, home.claim_uid, token)
    return Grant(site.alias, home.name, site.cluster.endpoint, token, expires_ms)


async def _hand_over(claim: GpuClaim, grants: list[Grant], tools: Tools) -> GpuClaim:
    """Choose boundTime (durable before anything shows it), write the Secret, say Bound."""
    allocation = claim.status.allocation
    if allocation is None:
        raise ValueError(f"claim {claim.metadata.key} has no allocation")
    async with _step(tools, "hand-over"):
        uid = ClaimUID(claim.metadata.uid)
        bound_ms = await tools.ledger.intend_bound(uid, allocation.sequence, tools.clock.now_ms())
        access = await write_secret(tools.hub, claim, grants)
        status = claim_status.bound(claim, bound_ms, access, tools.clock.now_ms())
        return await tools.claims.write_status(claim, status)


async def renew(claim: GpuClaim, tools: Tools) -> GpuClaim:
    """Mint new tokens for a bound claim and write them into its Secret; the old ones live on to their end."""
    sites = sites_of(claim, tools)

    async def grant(site: Site) -> Grant:
        async with site.slots.take(Urgency.SETUP):
            token, expires = await request_token(
                site.cluster.api, site.home.name, tools.token_life_seconds
            )
        return Grant(site.alias, site.home.name, site.cluster.endpoint, token, expires)

    grants = list(await asyncio.gather(*(grant(site) for site in sites)))
    access = await write_secret(tools.hub, claim, grants)
    return await tools.claims.write_status(
        claim, claim_status.renewed(claim, access, tools.clock.now_ms())
    )


def _lease_of(site: Site, lease_uid: str) -> GpuLease:
    """Return the lease that a node of the site belongs to; two leases of one cluster share a site."""
    if site.lease.metadata.uid == LeaseUID(lease_uid):
        return site.lease
    meta = site.lease.metadata.model_copy(update={"uid": lease_uid})
    return site.lease.model_copy(update={"metadata": meta})


@asynccontextmanager
async def _step(tools: Tools, name: str) -> AsyncIterator[None]:
    begun = tools.clock.monotonic()
    yield
    tools.steps.took(name, tools.clock.monotonic() - begun)
