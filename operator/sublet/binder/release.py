"""The release protocol, from the decision to a free node. Every step may be repeated; a restart begins again.

Nothing is destroyed before the decision is written or re-read live (a paused ex-leader stops there). Access goes first,
then the namespace, then its pods; the node is free when a live list, from the cluster with the right identity, shows
none. An unreachable cluster holds everything up: unreachable is not free.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from sublet.api import claim_status, rest_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import is_true
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.kept_status import others_finalizers
from sublet.api.lease_terms import Term
from sublet.api.move_status import all_nodes
from sublet.api.times import Millis
from sublet.api.wording import how_many
from sublet.binder.access import forget_grants
from sublet.binder.identity import confirm
from sublet.binder.locks import unlock_node
from sublet.binder.namespace import CLAIM_LABEL
from sublet.binder.pod_ends import end_pods, still_there
from sublet.binder.pods import list_pods
from sublet.binder.ports import ClusterSilent, Overtaken, StillThere, Tools
from sublet.binder.sites import Berth, Site, reachable_sites
from sublet.binder.slots import Urgency
from sublet.binder.together import all_of
from sublet.binder.wiped import note_vacated, see_clean
from sublet.fleet.isolation import EXTRA_ROLE, TENANT_ACCOUNT, TENANT_ROLE
from sublet.kube.errors import Conflict, Forbidden, NotFound
from sublet.kube.wire import Pod
from sublet.ledger.port import LedgerUnavailable

POD_WAIT_SECONDS: Final = 0.25
_TRIES: Final = 5
POD_TRIES: Final = 40
"""Then the step is tried again from the start, with back-off."""

Guard = Callable[[], Awaitable[GpuClaim | None]]
"""Reads the claim live and returns it, or raises Overtaken: asked before each destructive phase."""


async def release(claim: GpuClaim, tools: Tools) -> GpuClaim | None:
    """Take a releasing claim's GPUs back; returns it as written last, None when nothing is left of it.

    ClusterSilent, ClusterRefuses, StillThere and the hub's errors: try again later.
    """

    async def still_releasing() -> GpuClaim:
        live = await tools.claims.get(claim)
        decided = live.status.release if live is not None else None
        if (
            live is None
            or decided is None
            or decided.sequence != _sequence(claim)
            or not is_true(live.status.conditions, "Releasing")
        ):
            raise Overtaken(f"the release of {claim.metadata.key} is not under way any more")
        return live

    sites = await _vacate(claim, tools, still_releasing)
    await _rest(claim, sites, tools)
    claim = await still_releasing()
    await all_of(free(site, claim, berth) for site in sites for berth in site.berths)
    return await conclude(claim, tools)


async def conclude(claim: GpuClaim, tools: Tools) -> GpuClaim | None:
    """Write that a claim holds nothing any more and say so; then do what else its end needs, which may have to wait."""
    cause = claim.status.release.cause if claim.status.release else ""
    now = tools.clock.now_ms()
    claim = await tools.claims.write_status(claim, claim_status.released(claim, now))
    forget_grants(tools.grants, claim.metadata.uid)
    tools.events.note(claim, EventReason.RELEASED, f"the GPUs were taken back ({cause})")
    return await finish(claim, tools)


async def give_back(claim: GpuClaim, tools: Tools) -> GpuClaim:
    """Take off everything that a claim took which can't have all of its nodes, also what an earlier try left.

    The hub must say already that it is giving back. Returns the claim as read last. Nodes that the tenant may have used
    rest like those of a release.
    """

    async def still_giving() -> GpuClaim:
        live = await tools.claims.get(claim)
        if live is None or not claim_status.is_giving_back(live) or not _same(live, claim):
            raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
        return live

    used = await may_be_used(claim, tools)
    sites = await _vacate(claim, tools, still_giving, used=used)
    if used:
        await _rest(await still_giving(), sites, tools)
    await still_giving()
    await all_of(free(site, claim, berth) for site in sites for berth in site.berths)
    return await still_giving()


async def may_be_used(claim: GpuClaim, tools: Tools) -> bool:
    """Say whether nodes of a claim must rest before they are free: a lease asks for it, and pods may have run there.

    Before it was bound none can have, unless its access was written, and what is intended is in the ledger before that.
    """
    leases = [tools.lease(LeaseUID(p.lease_uid)) for p in all_nodes(claim)]
    if not any(each is None or _asks_for_rest(each.spec.term) for each in leases):
        return False
    allocation = allocation_of(claim)
    if allocation.bound_time is not None:
        return True
    try:
        return await tools.ledger.was_intended(ClaimUID(claim.metadata.uid), allocation.sequence)
    except LedgerUnavailable:
        return True


def _asks_for_rest(term: Term) -> bool:
    return term.quarantine_seconds > 0 or term.clean_label is not None


async def finish(claim: GpuClaim, tools: Tools) -> GpuClaim | None:
    """Bring the last lines into the ledger; then a deleted claim may go."""
    await tools.meter.settle(claim)
    if claim.metadata.deletion_timestamp is None:
        return claim
    return await let_go(claim, tools)


async def let_go(claim: GpuClaim, tools: Tools) -> GpuClaim | None:
    """Take our finalizer off; returns the claim if somebody else's hold it back, None where it is gone."""
    await tools.claims.remove_finalizer(claim)
    return await tools.claims.get(claim) if others_finalizers(claim) else None


async def _vacate(claim: GpuClaim, tools: Tools, guard: Guard, *, used: bool = True) -> list[Site]:
    """Shut the tenant out of every cluster and wait for the last pod; ClusterSilent if one can't be asked.

    `used`: pods of the tenant may have run there.
    """
    await guard()
    sites, silent = reachable_sites(claim, tools, all_nodes(claim), leaving=True)
    await all_of(shut_out(site) for site in sites)
    if silent:
        raise ClusterSilent(silent[0])
    await guard()
    await all_of(_see_empty(site, used=used) for site in sites)
    return sites


async def _see_empty(site: Site, *, used: bool) -> None:
    await empty(site)
    if used:
        await note_vacated(site)


async def shut_out(site: Site) -> None:
    """Take the tenant's rights (403 at once), then its account (401 within seconds), then the namespace."""
    api, name = site.cluster.api, site.home.name
    async with site.asking(Urgency.RELEASE):
        home = await _own_namespace(site)
        if home is None:
            return
        path = f"/api/v1/namespaces/{name}"
        roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/rolebindings"
        for binding in (TENANT_ROLE, EXTRA_ROLE):
            with suppress(NotFound):
                await api.delete(f"{roles}/{binding}")
        with suppress(NotFound):
            await api.delete(f"{path}/serviceaccounts/{TENANT_ACCOUNT}")
        # before the pods, or a Deployment makes them again
        await _delete_namespace(site, home)


async def _delete_namespace(site: Site, home: dict[str, Any]) -> None:
    """Delete the claim's namespace if nobody did yet; StillThere if the server says that it changes too fast."""
    path = f"/api/v1/namespaces/{site.home.name}"
    for _ in range(_TRIES):
        if home["metadata"].get("deletionTimestamp"):
            return
        with suppress(Conflict):
            with suppress(NotFound):
                await site.cluster.api.delete(path, uid=home["metadata"]["uid"])
            return
        # a namesake of another UID is not ours; the same one must go, or nobody would know of it any more
        if (found := await _own_namespace(site)) is None:
            return
        home = found
    raise StillThere(f"namespace {site.home.name} at {site.alias} changes too fast to be deleted")


async def _own_namespace(site: Site) -> dict[str, Any] | None:
    """Return the claim's namespace as it is now, None if there is none that is ours: another's is never touched."""
    try:
        home: dict[str, Any] = await site.cluster.api.get(f"/api/v1/namespaces/{site.home.name}")
    except NotFound:
        return None
    labels = home["metadata"].get("labels") or {}
    return home if labels.get(CLAIM_LABEL) == site.home.claim_uid else None


async def empty(site: Site) -> None:
    """Delete the pods at once and wait until a live list shows none."""
    api, path = site.cluster.api, f"/api/v1/namespaces/{site.home.name}/pods"
    stay: dict[str, int] = {}  # pod -> HTTP status with which it isn't deleted
    for attempt in range(POD_TRIES):
        async with site.asking(Urgency.RELEASE):
            pods = await list_pods(api, path)
            if pods and await _own_namespace(site) is None:
                pods = _on_nodes(site, pods)
                if pods:  # somebody took the namespace's label off: nothing is written there, and nothing is free
                    raise StillThere(
                        f"pods run on the claim's nodes in {site.home.name} at {site.alias}, which isn't marked as the "
                        "claim's any more: delete that namespace",
                        5.0,
                    )
            if not pods:
                await confirm(site.cluster)  # an empty list of any other says nothing
                return
            if attempt == 0:
                with suppress(NotFound, Forbidden):
                    stay = await end_pods(site, pods)
        await asyncio.sleep(POD_WAIT_SECONDS)
    raise still_there(site, pods, stay)


def _on_nodes(site: Site, pods: list[Pod]) -> list[Pod]:
    """Return the pods that are on the claim's nodes."""
    nodes = {berth.place.node for berth in site.berths}
    return [pod for pod in pods if pod.spec.node_name in nodes]


async def _rest(claim: GpuClaim, sites: Sequence[Site], tools: Tools) -> None:
    """Let the nodes rest where the lease asks for it: a quarantine since the last pod, or the landlord's clean label."""
    terms = [b.lease.spec.term for site in sites for b in site.berths]
    seconds = max((t.quarantine_seconds for t in terms), default=0)
    if seconds:
        await _quarantine(claim, seconds, tools)
    await all_of(see_clean(site, berth) for site in sites for berth in site.berths)


async def _quarantine(claim: GpuClaim, seconds: int, tools: Tools) -> None:
    """Record when the last pod was seen gone, once, and wait from then on."""
    vacated_ms = rest_status.vacated_ms(claim)
    if vacated_ms is None:
        vacated_ms = tools.clock.now_ms()
        await tools.claims.write_status(claim, rest_status.vacated(claim, vacated_ms))
    see_rested(claim.metadata.uid, vacated_ms, seconds, tools)


def see_rested(claim_uid: str, vacated_ms: Millis, seconds: int, tools: Tools) -> None:
    """Raise StillThere while nodes rest for so long that a claim's last pod left then."""
    left = tools.rests.left_seconds(claim_uid, vacated_ms, seconds, tools.clock)
    if left > 0:
        text = f"the nodes rest for another {how_many(round(left), 'second')}"
        raise StillThere(text, left, rests=True)


async def free(site: Site, claim: GpuClaim, berth: Berth) -> None:
    """Take the claim off one node."""
    async with site.changing(berth, Urgency.RELEASE):
        await unlock_node(berth.cluster, berth.place, ClaimUID(claim.metadata.uid))


def _sequence(claim: GpuClaim) -> int:
    return allocation_of(claim).sequence


def _same(live: GpuClaim, claim: GpuClaim) -> bool:
    return live.status.allocation is not None and _sequence(live) == _sequence(claim)
