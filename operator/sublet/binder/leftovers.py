"""Cleaning what a claim left in a cluster by a person's word, once the cluster answers. Every step may be repeated.

In the order of a release: access, namespaces, pods; the node is clean when a live list from the cluster with the right
identity shows no pod. Then rest and the landlord's label where the lease asks for them, the claim's entries off the
nodes' books, and the line off the lease's status. Before access, pods and books the hub is asked again. Whom it is about
can't be mistaken: the claim's namespaces are named by its UID, and only what carries that UID is touched.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.last_word import Leftover
from sublet.api.lease_terms import TenantAccess
from sublet.api.relocation import PlacedNode
from sublet.binder.identity import confirm
from sublet.binder.locks import unlock_node
from sublet.binder.namespace import Home
from sublet.binder.ports import Tools
from sublet.binder.release import empty, see_rested, shut_out
from sublet.binder.sites import Berth, Site
from sublet.binder.slots import Urgency
from sublet.binder.together import all_of
from sublet.binder.wiped import note_vacated, see_clean
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.nodebook import CLAIM_LABEL, GPU, LEASE_LABEL
from sublet.kube.paging import items
from sublet.kube.wire import Node

_MOST_PAGES: Final = 40
"""20,000 nodes; a server whose list has no end is not believed."""

Guard = Callable[[], Awaitable[None]]
"""Asks the hub live; raises Overtaken if the line is gone or a claim keeps what is there."""


async def clear(
    lease: GpuLease, left: Leftover, cluster: LeasedCluster, tools: Tools, guard: Guard
) -> None:
    """Take everything of a claim out of a lease's cluster, and its line off the list.

    ClusterSilent, ClusterRefuses, StillThere, Overtaken and the hub's errors: try again later.
    """
    _see_rested(lease, left, tools)  # before anything is asked: it may rest for days
    await guard()
    sites = [_site(lease, left, home, cluster, tools) for home in left.homes]
    await all_of(shut_out(site) for site in sites)
    berths = await _berths(lease, left, sites[0])
    await guard()
    # with its nodes: pods on them count, also in a namespace that somebody took the claim's label off
    await all_of(empty(replace(site, berths=tuple(berths))) for site in sites)
    await note_vacated(replace(sites[0], berths=tuple(berths)))
    # of a lost lease too: a new lease of the same cluster may sell its nodes as soon as they are handed back
    await _rest(lease, left, tools)
    await all_of(see_clean(sites[0], berth) for berth in berths)
    await guard()
    uid = ClaimUID(left.claim_uid)
    for berth in berths:
        async with sites[0].changing(berth, Urgency.RELEASE):
            await unlock_node(cluster, berth.place, uid)
    await tools.lists.change(tools.lease(cluster.lease_uid) or lease, left, None)


def _site(lease: GpuLease, left: Leftover, home: int, cluster: LeasedCluster, tools: Tools) -> Site:
    """Return one namespace of the claim; it is emptied, so that nothing but its name matters."""
    return Site(
        alias=lease.spec.tenant_alias,
        cluster=cluster,
        slots=tools.slots(cluster.lease_uid),
        berths=(),
        home=Home(ClaimUID(left.claim_uid), home, 0, TenantAccess(), "", None),
    )


async def _berths(lease: GpuLease, left: Leftover, site: Site) -> list[Berth]:
    """Return the nodes that carry the claim's label, those that it was leaving, too, by a live list of the right cluster."""
    of_claim = {"labelSelector": f"{CLAIM_LABEL}{left.claim_uid}"}
    async with site.asking(Urgency.RELEASE):
        api = site.cluster.api
        found = items(api, "/api/v1/nodes", Node, of_claim, most=_MOST_PAGES)
        # of two leases in one cluster each sees to its own nodes; one that lost its mark is whoever's asks
        places = [
            _place(lease, node)
            async for node in found
            if node.metadata.labels.get(LEASE_LABEL) in (lease.metadata.uid, None)
        ]
        await confirm(site.cluster)
    return [Berth(place, lease, site.cluster) for place in places]


def _place(lease: GpuLease, node: Node) -> PlacedNode:
    return PlacedNode(
        lease=lease.spec.tenant_alias,
        lease_uid=lease.metadata.uid,
        product=lease.spec.product,
        gpus=_gpus(node.status.allocatable.get(GPU)),
        node=node.metadata.name,
        node_uid=node.metadata.uid,
    )


def _gpus(shown: str | None) -> int:
    return max(1, int(shown)) if shown and shown.isdecimal() else 1


async def _rest(lease: GpuLease, left: Leftover, tools: Tools) -> None:
    """Let the nodes rest where the lease asks for it, counted from when the last pod was first seen gone."""
    if not lease.spec.term.quarantine_seconds:
        return
    if left.vacated_time is None:
        newest = (
            tools.lease(LeaseUID(lease.metadata.uid)) or lease
        )  # others' lines changed meanwhile
        rests = left.model_copy(update={"vacated_time": tools.clock.now_ms()})
        await tools.lists.change(newest, left, rests)
        left = rests
    _see_rested(lease, left, tools)


def _see_rested(lease: GpuLease, left: Leftover, tools: Tools) -> None:
    """Raise StillThere while the nodes rest."""
    if left.vacated_time is not None:
        seconds = lease.spec.term.quarantine_seconds
        see_rested(left.claim_uid, left.vacated_time, seconds, tools)
