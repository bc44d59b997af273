"""Nodes that a bound claim leaves, while it lives on: emptied, rested, taken off the claim, and closed in the ledger.

A namespace of which no node is left goes as a whole. Where the claim keeps it, its label on the nodes gets another value,
so that no pod of it comes back between the last look and the unlock, and the quota shrinks to what is left.
Like a release it waits for what can't be seen: a node that doesn't answer keeps its entry, and stays held.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Final

from sublet.api import move_status
from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.relocation import Leaving, PlacedNode
from sublet.binder import namespace
from sublet.binder.identity import confirm
from sublet.binder.locks import node_path, shun_node
from sublet.binder.pod_ends import end_pods, still_there
from sublet.binder.pods import list_pods
from sublet.binder.ports import ClusterSilent, Overtaken, Tools
from sublet.binder.release import (
    POD_TRIES,
    POD_WAIT_SECONDS,
    empty,
    free,
    see_rested,
    shut_out,
)
from sublet.binder.sites import Berth, Site, reachable_sites, silent_in
from sublet.binder.slots import Urgency
from sublet.binder.together import all_of
from sublet.binder.wiped import is_held, note_vacated, see_clean
from sublet.kube.errors import NotFound
from sublet.kube.wire import Node, Pod

_SETTLED_SECONDS: Final = 2.0
"""A scheduler that didn't know of the label yet has shown its pod by then."""

Guard = Callable[[], Awaitable[GpuClaim]]


async def leave(claim: GpuClaim, left: Leaving, tools: Tools) -> GpuClaim:
    """Bring one entry of what a bound claim leaves to its end; returns the claim as written last.

    ClusterSilent, ClusterRefuses, StillThere, LedgerUnavailable and the hub's errors: try again later.
    """

    async def still_leaving() -> GpuClaim:
        live = await tools.claims.get(claim)
        entries = live.status.leaving if live is not None else ()
        bound = live is not None and is_true(live.status.conditions, "Bound")
        if live is None or not bound or all(x.sequence != left.sequence for x in entries):
            raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
        return live

    live = await still_leaving()
    left = next(x for x in live.status.leaving if x.sequence == left.sequence)
    if left.freed_time is None:
        live = await _give_back(live, left, tools, still_leaving)
    await tools.meter.settle(live)
    return await tools.claims.write_status(live, move_status.left_behind(live, left.sequence))


def split(
    claim: GpuClaim, tools: Tools, going: Iterable[PlacedNode], staying: Collection[PlacedNode]
) -> tuple[list[Site], list[Site], list[str]]:
    """Return the sites of nodes that go, those of nodes that stay, and the aliases of leases to wait for first.

    That is a lease whose nodes go, and one whose nodes may stay in a namespace from which others go: it is neither known
    whether that namespace is kept nor what is left of it. Any other lease of the claim may be silent as long as it likes.
    """
    kept, _ = reachable_sites(claim, tools, staying)
    sites, silent = reachable_sites(claim, tools, going, leaving=True)
    beside = [silent_in(site, claim, tools, staying) for site in sites]
    known = [site for site, alias in zip(sites, beside, strict=True) if alias is None]
    return known, kept, [*silent, *(alias for alias in beside if alias is not None)]


async def vacate(sites: Sequence[Site], kept: Sequence[Site], guard: Guard) -> None:
    """Empty what is left of a claim at these sites; of a namespace that it keeps, these nodes alone."""
    await guard()
    await all_of(_shut_off(site, home_of(site, kept)) for site in sites)
    await guard()
    await all_of(
        empty(site) if home_of(site, kept) is None else _empty_nodes(site) for site in sites
    )


async def _give_back(claim: GpuClaim, left: Leaving, tools: Tools, guard: Guard) -> GpuClaim:
    sites, kept, silent = split(claim, tools, left.placements, move_status.held_nodes(claim))
    await vacate(sites, kept, guard)
    await all_of(note_vacated(site) for site in sites)
    if silent:
        raise ClusterSilent(silent[0])
    berths = [(site, berth) for site in sites for berth in site.berths]
    await _rest(claim, left, await _used(left, berths), tools)
    await all_of(see_clean(site, berth) for site, berth in berths)
    live = await guard()
    staying = {p.key for p in move_status.held_nodes(live)}
    await all_of(
        free(site, live, berth) for site, berth in berths if berth.place.key not in staying
    )
    live = await guard()
    entry = next(x for x in live.status.leaving if x.sequence == left.sequence)
    if entry.freed_time is not None:
        return live  # another operator has said when, and its ledger may have it
    freed = entry.model_copy(update={"freed_time": tools.clock.now_ms()})
    return await tools.claims.write_status(live, move_status.changed(live, freed))


def home_of(site: Site, kept: Sequence[Site]) -> Site | None:
    """Return the site that keeps this one's namespace, None if it goes."""
    cluster = site.cluster.facts.cluster_uid
    return next(
        (
            k
            for k in kept
            if k.home.name == site.home.name and k.cluster.facts.cluster_uid == cluster
        ),
        None,
    )


async def _shut_off(site: Site, kept: Site | None) -> None:
    """Take the namespace away, or keep new pods off the nodes and shrink the quota to what is left."""
    if kept is None:
        await shut_out(site)
        return
    kept.see_whole()
    uid = ClaimUID(site.home.claim_uid)
    async with site.asking(Urgency.RELEASE):
        await all_of(shun_node(b.cluster, b.place, uid) for b in site.berths)
        await all_of(kept.cluster.api.apply(p, o) for p, o in namespace.contents(kept.home))


async def _empty_nodes(site: Site) -> None:
    """Delete the claim's pods on these nodes and wait until two live lists, some time apart, show none."""
    site = await _those_there(site)
    clear_since: float | None = None
    loop = asyncio.get_running_loop()
    stay: dict[str, int] = {}  # pod -> HTTP status with which it isn't deleted
    for attempt in range(POD_TRIES):
        pods: list[Pod] = []
        for berth in site.berths:
            here, stuck = await _pods_on(site, berth, end=attempt == 0)
            pods += here
            stay |= stuck
        if pods:
            clear_since = None
        elif clear_since is None:
            clear_since = loop.time()
        elif loop.time() - clear_since >= _SETTLED_SECONDS:
            async with site.asking(Urgency.RELEASE):
                await confirm(site.cluster)
            return
        await asyncio.sleep(POD_WAIT_SECONDS)
    raise still_there(site, pods, stay)


async def _those_there(site: Site) -> Site:
    """Return a site without nodes that are gone by a live look: a new node of the same name is somebody else's."""
    uids: dict[str, str] = {}
    for berth in site.berths:
        async with site.asking(Urgency.RELEASE):
            with suppress(NotFound):
                node = await berth.cluster.api.get_as(node_path(berth.place.node), Node)
                uids[berth.place.node] = node.metadata.uid
    return site.only(lambda b: uids.get(b.place.node) == b.place.node_uid)


async def _pods_on(site: Site, berth: Berth, *, end: bool) -> tuple[list[Pod], dict[str, int]]:
    """Return the claim's pods on a node; `end` asks them to, and returns by name with which HTTP status some stay."""
    path = f"/api/v1/namespaces/{site.home.name}/pods"
    here = f"spec.nodeName={berth.place.node}"
    async with site.asking(Urgency.RELEASE):
        pods = await list_pods(site.cluster.api, path, fieldSelector=here)
        return pods, await end_pods(site, pods, here) if pods and end else {}


async def _used(left: Leaving, berths: Sequence[tuple[Site, Berth]]) -> list[Berth]:
    """Return the nodes on which pods of the claim may have run: of a move that was given up, those that were locked."""
    if left.metered:
        return [berth for _, berth in berths]
    held = await all_of(is_held(site, berth) for site, berth in berths)
    return [berth for (_, berth), is_on in zip(berths, held, strict=True) if is_on]


async def _rest(claim: GpuClaim, left: Leaving, berths: Sequence[Berth], tools: Tools) -> None:
    """Let the nodes rest where their leases ask for it, counted from when the last pod was seen gone."""
    seconds = max((b.lease.spec.term.quarantine_seconds for b in berths), default=0)
    if not seconds:
        return
    vacated_ms = left.vacated_time
    if vacated_ms is None:
        vacated_ms = tools.clock.now_ms()
        left = left.model_copy(update={"vacated_time": vacated_ms})
        await tools.claims.write_status(claim, move_status.changed(claim, left))
    see_rested(claim.metadata.uid, vacated_ms, seconds, tools)
