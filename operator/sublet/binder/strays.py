"""What a piece of work wrote that was overtaken: entries, namespaces and taints of nodes that the claim no longer has.

Judged by a live read of the claim, node by node and namespace by namespace, never by the number of its reservation:
whatever it holds now, will hold or is giving back is somebody else's work and stays.
"""

from collections.abc import Sequence

from sublet.api.gpuclaim import GpuClaim
from sublet.api.move_status import all_nodes
from sublet.binder.leave import home_of, vacate
from sublet.binder.ports import ClusterSilent, Overtaken, StillThere, Tools
from sublet.binder.release import free, may_be_used
from sublet.binder.sites import Site, reachable_sites
from sublet.binder.together import all_of
from sublet.binder.wiped import is_held, note_vacated
from sublet.book.holdings import holds


def may_have_strays(claim: GpuClaim, live: GpuClaim | None) -> bool:
    """Say whether `claim`, as a piece of work saw it, has nodes that the claim as it is now hasn't."""
    held = all_nodes(live) if live is not None and holds(live) else ()
    return not {p.key for p in all_nodes(claim)} <= {p.key for p in held}


async def clear_strays(claim: GpuClaim, tools: Tools) -> None:
    """Take off what `claim`, as an overtaken piece of work saw it, has and the claim as it is now hasn't.

    StillThere: what must rest keeps its entry, as this claim can't say since when; the look for drift takes it back.
    """
    live = await tools.claims.get(claim)
    held = all_nodes(live) if live is not None and holds(live) else ()
    known = {place.key for place in held}

    async def still_strays() -> GpuClaim:
        now = await tools.claims.get(claim)
        has = {p.key for p in all_nodes(now)} if now is not None and holds(now) else set()
        if not has <= known:
            raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
        return now or claim

    kept, unknown = reachable_sites(live, tools, held) if live is not None else ([], [])
    sites, silent = reachable_sites(claim, tools, all_nodes(claim))
    if unknown or silent:
        raise ClusterSilent((unknown or silent)[0])
    used = await may_be_used(claim, tools)
    strays = [s.only(lambda b: b.place.key not in known) for s in sites]
    gone = [s for s in sites if home_of(s, kept) is None]
    going = [*gone, *(s for s in strays if s.berths and home_of(s, kept) is not None)]
    try:
        await vacate(going, kept, still_strays)
        await still_strays()
        if used:
            await _leave_to_rest(strays)
        await all_of(free(site, claim, berth) for site in strays for berth in site.berths)
    except Overtaken:
        return


async def _leave_to_rest(sites: Sequence[Site]) -> None:
    """Raise StillThere if the claim is on a node that the tenant may have used: the next look for drift lets it rest."""
    await all_of(note_vacated(site) for site in sites)
    for site in sites:
        for berth in site.berths:
            if await is_held(site, berth):
                raise StillThere(f"node {berth.place.node} rests until the next look for drift")
