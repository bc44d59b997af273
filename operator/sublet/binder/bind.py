"""The bind protocol, from Reserved to Bound. Every step may be repeated; a restart begins at the first one again.

Locks first (the first node by name alone, the rest at once), then each cluster's namespace and contents at once, and a
look at the pods of each node; then the proofs, then the token, the Secret, and one compare-and-set that says Bound. The
only hard order inside: the kubeconfig is handed over after the quota is live and the probe was refused, and only while a
live read of the claim still shows this very reservation.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from sublet.api import access_status, claim_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import is_true
from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.ids import ClaimUID, NodeName, TenantUID
from sublet.api.move_status import usable_nodes
from sublet.api.times import Millis
from sublet.binder import namespace, proof
from sublet.binder.access import Grant, leads_into, request_token, write_secret
from sublet.binder.dropped import FieldDropped
from sublet.binder.locks import UnfitNode, lock_node
from sublet.binder.nodes import has_foreign_pods
from sublet.binder.outlived import refuse_outlived
from sublet.binder.ports import ClusterRefuses, ClusterSilent, LostRace, Overtaken, Tools
from sublet.binder.revocation import revoke
from sublet.binder.secret import has_written, see_lost
from sublet.binder.sites import Berth, Site, reachable_sites, refuse_lost, sites_of
from sublet.binder.slots import Urgency
from sublet.binder.together import all_of
from sublet.binder.withheld import SOON_MS, Withheld, asked_again_ms
from sublet.book.inventory import Unfit
from sublet.kube.errors import Conflict
from sublet.ledger.port import LedgerUnavailable
from sublet.logs import log_about

Checkpoint = Callable[[], None]
"""Raises Interrupted where the protocol should stop between two steps."""


async def bind(claim: GpuClaim, tools: Tools, checkpoint: Checkpoint) -> GpuClaim:
    """Bring a reserved claim to Bound; returns it as written.

    LostRace: it can't have a node, and what it took is to be given back. Overtaken: the reservation isn't this one any
    more. ClusterSilent, ClusterRefuses, IsolationFault, SecretTaken, FieldDropped, LedgerUnavailable and the hub's
    errors: try again later, nothing is lost.
    """
    refuse_lost(tools, allocation_of(claim).placements)
    sites = sites_of(claim, tools, allocation_of(claim).placements)
    leases = {b.place.lease_uid for site in sites for b in site.berths}
    async with tools.promises.under_way(*leases), _step(tools, "lock"):
        await lock_all(claim, [(site, b) for site in sites for b in site.berths])
    # anew, as the locks have shown the nodes
    sites = sites_of(claim, tools, allocation_of(claim).placements)
    await tools.promises.stand_back(*leases)
    checkpoint()
    claim = await _note_share(claim, sites, tools)
    async with _step(tools, "namespace"):
        await settle_in(sites, [(site, b) for site in sites for b in site.berths])
    checkpoint()
    async with _step(tools, "prove"):
        grants = await all_of(prove(site, tools) for site in sites)
    checkpoint()
    async with _step(tools, "hand-over"):
        return await _hand_over(claim, grants, tools)


def is_same_reservation(live: GpuClaim | None, claim: GpuClaim) -> bool:
    """Say whether the claim still holds, on the hub, what `claim` shows, and isn't giving it back."""
    return (
        live is not None
        and live.status.allocation is not None
        and live.status.allocation.sequence == allocation_of(claim).sequence
        and is_true(live.status.conditions, "Reserved")
        and not is_true(live.status.conditions, "Releasing")
        and not claim_status.is_giving_back(live)
    )


async def _note_share(claim: GpuClaim, sites: Iterable[Site], tools: Tools) -> GpuClaim:
    """Note what comes with each GPU of a part of a node, where the reservation doesn't: an older version made it, or CRDs dropped it.

    FieldDropped if the hub keeps no such field: then the limits would be lost with the class, or follow its edits.
    """
    share = next((s.home.host_share for s in sites if s.home.host_share is not None), None)
    if share is None or allocation_of(claim).says_host_share:
        return claim
    live = await tools.claims.get(claim)
    if live is None or not is_same_reservation(live, claim):
        raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
    noted = {"host_share": share.known(), "host_share_noted": True}
    allocation = allocation_of(live).model_copy(update=noted)
    status = live.status.model_copy(update={"allocation": allocation})
    written = await tools.claims.write_status(live, status)
    if not allocation_of(written).says_host_share:
        raise FieldDropped("allocation.hostShare")
    return written


async def lock_all(claim: GpuClaim, wanted: Iterable[tuple[Site, Berth]]) -> None:
    """Lock these nodes, or raise the first failure when no lock is under way any more."""
    uid = ClaimUID(claim.metadata.uid)
    tenant = TenantUID(allocation_of(claim).tenant_uid)
    berths = sorted(wanted, key=lambda pair: (pair[1].place.lease, pair[1].place.node))

    async def lock(site: Site, berth: Berth) -> None:
        async with site.changing(berth, Urgency.LOCK):
            await lock_node(berth.cluster, berth.lease, berth.place, uid, tenant)

    # most losers lose on the first request, and nobody waits for another's lock to end
    try:
        await lock(*berths[0])
    except UnfitNode:
        raise
    except LostRace as lost:
        raise LostRace(str(lost), holds_nothing=True) from lost
    await all_of(lock(site, berth) for site, berth in berths[1:])


async def settle_in(sites: Iterable[Site], locked: Iterable[tuple[Site, Berth]]) -> None:
    """Make the namespaces, and see meanwhile that the nodes which were locked just now are nobody's; else UnfitNode."""
    looks = [_see_vacant(site, berth) for site, berth in locked]
    await all_of([*looks, *(furnish(site) for site in sites)])


async def _see_vacant(site: Site, berth: Berth) -> None:
    """Look at a locked node's pods, live: the book decided on what was known of them, which a restart forgets."""
    name = NodeName(berth.place.node)
    async with site.asking(Urgency.SETUP):
        is_taken = await has_foreign_pods(berth.cluster, name)
    if is_taken:
        berth.cluster.note_foreign(name, foreign=True)
        raise UnfitNode(f"node {name} can't be sold: {Unfit.FOREIGN_PODS}")


async def furnish(site: Site) -> None:
    """Make the namespace if it isn't there, then everything in it at once."""
    site.see_whole()
    api, home = site.cluster.api, site.home
    async with site.asking(Urgency.SETUP):
        with suppress(Conflict):  # a repeated step, or the other operator's
            await api.create("/api/v1/namespaces", namespace.namespace(home))
        await all_of(api.apply(path, obj) for path, obj in namespace.contents(home))


async def prove(site: Site, tools: Tools) -> Grant:
    """See quota and policy live, then mint the token and see the tenant through it."""
    api, home = site.cluster.api, site.home

    steps: list[Coroutine[Any, Any, Any]] = [
        proof.see_quota(api, home.name, namespace.quota_hard(home)),
        proof.see_policy(api, home.name, home.claim_uid),
        grant(site, tools),
    ]
    async with site.asking(Urgency.SETUP):
        *_, granted = await all_of(steps)
        await proof.see_tenant(api, home.name, home.claim_uid, granted.token)
    found: Grant = granted
    return found


async def grant(site: Site, tools: Tools) -> Grant:
    """Mint a new token of the tenant in one cluster, and remember it."""
    now = tools.clock.now_ms()
    token, expires_ms, life_ms = await request_token(
        site.cluster.api, site.home.name, tools.token_life_seconds
    )
    granted = Grant(
        site.alias, site.home.name, site.cluster.tenant_endpoint, token, now, expires_ms, life_ms
    )
    tools.grants[ClaimUID(site.home.claim_uid), site.alias] = granted
    return granted


async def _hand_over(claim: GpuClaim, grants: list[Grant], tools: Tools) -> GpuClaim:
    """Choose boundTime (durable before anything shows it), write the Secret, say Bound."""
    uid, sequence = ClaimUID(claim.metadata.uid), allocation_of(claim).sequence
    now = tools.clock.now_ms()
    bound_ms = await tools.ledger.intend_bound(uid, sequence, now)
    if bound_ms < now and not await has_written(tools.hub, claim):
        # an earlier try came no further: nobody is billed for the time until this one
        bound_ms = await tools.ledger.intend_bound(uid, sequence, now, anew=True)
    # an operator that slept through the claim's release must not hand anything over
    live = await tools.claims.get(claim)
    if live is None or not is_same_reservation(live, claim):
        raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
    if is_true(live.status.conditions, "Bound"):
        return live
    access = await write_secret(tools.hub, live, grants, tools.argocd_namespace)
    status = claim_status.bound(live, bound_ms, access, tools.clock.now_ms())
    return await tools.claims.write_status(live, status)


async def renew(claim: GpuClaim, tools: Tools, *, may_wait: bool = False) -> GpuClaim | None:
    """Mint new tokens for a bound claim and write them into its Secret; the old ones live on to their end.

    They die with it if the Secret was deleted: whoever does that wants the old ones dead. A silent cluster keeps its
    last token, and never costs the others' tenants their access; the claim says until when there is a way in.
    `may_wait`: the old tokens are good, so one that only the Secret has may keep it from being written (`withheld`).
    """
    live = await tools.claims.get(claim)
    if live is None or not is_true(live.status.conditions, "Bound"):
        return live
    sites, silent = reachable_sites(live, tools, usable_nodes(live))
    if not sites and not silent:
        return live  # all of it is lost, and the claim about to end
    live = await see_lost(live, tools)
    aliases = {*silent, *(site.alias for site in sites)}
    try:
        access, behind = await hand_out(live, [], sites, silent, tools, may_wait=may_wait)
    except Withheld as held:
        access = _staying(held.access, aliases).model_copy(update={"renewal_time": held.again_ms})
        behind = held.behind
    except ClusterSilent:
        if live.status.access is not None:
            old = _staying(live.status.access, aliases)
            behind = {c.alias for c in old.clusters}
            said = access_status.renewed(live, old, behind, tools.clock.now_ms())
            await tools.claims.write_status(live, said)
        raise
    status = access_status.renewed(live, access, behind, tools.clock.now_ms())
    return await tools.claims.write_status(live, status)


def _staying(old: Access, aliases: Collection[str]) -> Access:
    """Return what is said of the clusters that the claim has by now; of all if it has them by other leases' names."""
    there = tuple(c for c in old.clusters if c.alias in aliases)
    return old.model_copy(update={"clusters": there or old.clusters})


def _grants_of(claim: GpuClaim, tools: Tools) -> list[Grant]:
    """Return the tokens that a claim was given last."""
    return [g for (uid, _), g in tools.grants.items() if uid == claim.metadata.uid]


async def hand_out(
    live: GpuClaim,
    new: list[Grant],
    sites: list[Site],
    silent: list[str],
    tools: Tools,
    *,
    may_wait: bool = False,
) -> tuple[Access, set[str]]:
    """Write the kubeconfig with tokens that were minted just now and new ones for these sites.

    A namespace that wasn't handed over yet is left out, as it may not be proven: `new` alone lets the tenant into one.
    A cluster that can't be asked keeps its last token; returned beside the access. One whose token this process doesn't
    know is left out, and said to have none; Withheld before that if it `may_wait`. If the claim says that the Secret was
    lost (`see_lost`, which is asked before), the older tokens are revoked first; that is over when it was done everywhere.
    LedgerConflict then for a claim that is over by the ledger; while that is away, whoever has a way in keeps it.
    """
    old, uid = live.status.access, ClaimUID(live.metadata.uid)
    known = [site for site in sites if leads_into(old, site.home.name)]
    if old is not None and old.lost_time is not None:
        known, refusing = await revoke(known, _grants_of(live, tools), old.lost_time)
        silent = [*silent, *refusing]
    with suppress(LedgerUnavailable):
        await refuse_outlived(live, tools)
    results = await asyncio.gather(*(_renewed(site, tools) for site in known))
    renewed = [granted for granted in results if granted is not None]
    fresh = [*renewed, *new]
    if not fresh:
        raise ClusterSilent((silent or [site.alias for site in sites])[0])
    aliases = {*silent, *(site.alias for site in known)}
    wanted = aliases - {g.alias for g in fresh}
    missing = [c for c in old.clusters if c.alias in wanted] if old else []
    behind = {c.alias for c in missing}
    kept = list(_kept(uid, missing, sites, tools))
    unknown = [c for c in missing if c.alias not in {g.alias for g in kept}]
    now_ms = tools.clock.now_ms()
    good = [c.alias for c in unknown if c.expiration_time > now_ms]
    if old is not None and good and may_wait:
        again_ms = asked_again_ms(old, aliases, renewed, now_ms)
        if again_ms is not None:
            raise Withheld(good[0], old, behind, again_ms)
    access = await write_secret(tools.hub, live, [*fresh, *kept], tools.argocd_namespace)
    if old is not None and missing:
        soon = min(Millis(now_ms + SOON_MS), *(g.renewal_ms for g in fresh))
        clusters = (*access.clusters, *(_ended(c, now_ms) for c in unknown))
        update = {"clusters": clusters, "renewal_time": soon, "lost_time": old.lost_time}
        access = access.model_copy(update=update)
    return access, behind


def _kept(
    uid: ClaimUID, missing: Iterable[ClusterAccess], sites: Iterable[Site], tools: Tools
) -> Iterator[Grant]:
    """Yield the last tokens of clusters that gave no new one, each with the address at which its cluster is reached now.

    With the old one the kubeconfig would be found astray, and written, at each look.
    """
    reached = {site.alias: site.cluster.tenant_endpoint for site in sites}
    for each in missing:
        last = tools.grants.get((uid, each.alias))
        # that of another namespace is from a proof that may have failed
        if last is not None and last.namespace == each.namespace:
            found = replace(last, endpoint=reached.get(each.alias, last.endpoint))
            tools.grants[uid, each.alias] = found
            yield found


def _ended(access: ClusterAccess, now_ms: Millis) -> ClusterAccess:
    """Return what is said of a cluster that the kubeconfig has no token of any more, nor an address."""
    end = min(access.expiration_time, now_ms)
    return access.model_copy(update={"expiration_time": end, "endpoint_digest": None})


async def _renewed(site: Site, tools: Tools) -> Grant | None:
    """Mint a new token, None if this cluster can't be asked now."""
    try:
        async with site.asking(Urgency.SETUP):
            return await grant(site, tools)
    except (ClusterSilent, ClusterRefuses) as error:
        log = log_about(claim_uid=site.home.claim_uid, lease=site.cluster.lease)
        log.warning("token not renewed", error=str(error))
        return None


@asynccontextmanager
async def _step(tools: Tools, name: str) -> AsyncIterator[None]:
    begun = tools.clock.monotonic()
    yield
    tools.steps.took(name, tools.clock.monotonic() - begun)
