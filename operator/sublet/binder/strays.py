"""What a piece of work wrote that was overtaken: entries, namespaces and taints of nodes that the claim no longer has.

Judged by a live read of the claim, node by node and namespace by namespace, never by the number of its reservation:
whatever it holds now, will hold or is giving back is somebody else's work and stays.
"""

from sublet.api.gpuclaim import GpuClaim
from sublet.api.move_status import all_nodes
from sublet.binder.leave import home_of, vacate
from sublet.binder.ports import ClusterSilent, Overtaken, Tools
from sublet.binder.release import free
from sublet.binder.sites import reachable_sites
from sublet.binder.together import all_of
from sublet.book.holdings import holds


def may_have_strays(claim: GpuClaim, live: GpuClaim | None) -> bool:
    """Say whether `claim`, as a piece of work saw it, has nodes that the claim as it is now hasn't."""
    held = all_nodes(live) if live is not None and holds(live) else ()
    return not {p.node_uid for p in all_nodes(claim)} <= {p.node_uid for p in held}


async def clear_strays(claim: GpuClaim, tools: Tools) -> None:
    """Take off what `claim`, as an overtaken piece of work saw it, has and the claim as it is now hasn't."""
    live = await tools.claims.get(claim)
    held = all_nodes(live) if live is not None and holds(live) else ()
    known = {place.node_uid for place in held}

    async def still_strays() -> GpuClaim:
        now = await tools.claims.get(claim)
        has = {p.node_uid for p in all_nodes(now)} if now is not None and holds(now) else set()
        if not has <= known:
            raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
        return now or claim

    kept, unknown = reachable_sites(live, tools, held) if live is not None else ([], [])
    sites, silent = reachable_sites(claim, tools, all_nodes(claim))
    if unknown or silent:
        raise ClusterSilent((unknown or silent)[0])
    strays = [s.only(lambda b: b.place.node_uid not in known) for s in sites]
    gone = [s for s in sites if home_of(s, kept) is None]
    going = [*gone, *(s for s in strays if s.berths and home_of(s, kept) is not None)]
    try:
        await vacate(going, kept, still_strays)
        await still_strays()
        await all_of(free(site, claim, berth) for site in strays for berth in site.berths)
    except Overtaken:
        return
