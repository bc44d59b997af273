"""The protocol that puts right what of a bound claim isn't as it was left. Run by the binder's engine, one per claim.

Looked at live first, then object by object: what is missing is made, what was changed is written again, what has our
names and isn't ours is left alone and said. A namespace that somebody deleted is never written into; when it is gone
the claim gets another of a new number, with new tokens, and goes on under the same allocation and meter.
"""

from collections.abc import Awaitable, Callable

import msgspec

from sublet.api import access_status, bound_status
from sublet.api.claim_status import allocation_of
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.binder import namespace, proof
from sublet.binder.bind import (
    Checkpoint,
    furnish,
    hand_out,
    is_same_reservation,
    prove,
    renew,
)
from sublet.binder.ports import ClusterRefuses, Overtaken, Tools
from sublet.binder.secret import SecretState, look_at_secret, lost, see_lost
from sublet.binder.sites import Site, is_share_known, reachable_sites
from sublet.binder.slots import Urgency
from sublet.drift.claims import is_left_from, is_steady
from sublet.drift.compare import (
    Difference,
    Observed,
    What,
    differences,
    is_made_by,
    namespace_patch,
)
from sublet.drift.finding import Finding, Reason
from sublet.drift.look import find_named, look_into
from sublet.kube.errors import Conflict, Invalid
from sublet.kube.session import FIELD_MANAGER

Work = Callable[[GpuClaim, Checkpoint], Awaitable[GpuClaim | None]]
Note = Callable[[ClaimUID, ClusterUID, tuple[Finding, ...]], None]


def mending(cluster_uid: ClusterUID, tools: Tools, note: Note) -> Work:
    """Return the work of putting right what a claim has in one cluster, and its kubeconfig; findings go to `note`."""

    async def work(claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        live = await tools.claims.get(claim)
        if live is None or not is_steady(live):
            return live
        findings: list[Finding] = []
        sites = _sites(live, cluster_uid, tools)
        for site in sites:
            checkpoint()
            if site.silent_beside is not None:
                continue  # it may be for nodes of that lease, too: what it should hold isn't known
            try:
                live = await _mend_site(live, site, tools, findings)
            except ClusterRefuses as refused:
                findings.append(Finding(Reason.ISOLATION_DEGRADED, str(refused)))
        mended = await _mend_access(live, tools, findings)
        # what couldn't be looked at isn't well by that: what was found of it before stands
        if findings or all(site.silent_beside is None for site in sites):
            note(ClaimUID(claim.metadata.uid), cluster_uid, tuple(findings))
        return mended

    return work


def is_handed_over(claim: GpuClaim, site: Site) -> bool:
    """Say whether the claim's kubeconfig names this namespace; not so while it takes another's place."""
    access = claim.status.access
    return access is not None and site.home.name in {c.namespace for c in access.clusters}


def drifted(claim: GpuClaim, site: Site, seen: Observed, tools: Tools) -> list[Difference]:
    """Return what differs in one namespace.

    A quota's limits on CPU and memory are those of a part of a node: no quota is called changed while nobody knows
    whether the claim has such a part, or it would lose them. Nor while pods are on nodes that the claim leaves: then it
    may be that of both, and leaving them makes it that of the others.
    """
    found = differences(site.home, seen)
    if is_share_known(claim, site, tools) and not is_left_from(claim, site.home.sequence):
        return found
    return [d for d in found if (d.plural, d.what) != ("resourcequotas", What.CHANGED)]


def _sites(claim: GpuClaim, cluster_uid: ClusterUID, tools: Tools) -> list[Site]:
    found, _ = reachable_sites(claim, tools, allocation_of(claim).placements)
    return [site for site in found if site.cluster.facts.cluster_uid == cluster_uid]


async def _mend_site(
    claim: GpuClaim, site: Site, tools: Tools, findings: list[Finding]
) -> GpuClaim:
    """Put right one namespace; returns the claim as written last."""
    where = f"its namespace {site.home.name} at {site.alias}"
    async with site.asking(Urgency.SETUP):
        seen = await look_into(site.cluster, site.home.name)
        # judged here too: what has another shape is the cluster's fault
        wrong = drifted(claim, site, seen, tools) if seen.is_of(site.home.claim_uid) else []
    if seen.namespace is None:
        return await _make_anew(claim, site, tools)
    if seen.is_ending:
        message = f"{where} was deleted by somebody else; when it is gone the claim gets another, and a new kubeconfig"
        findings.append(Finding(Reason.NAMESPACE_TERMINATING, message))
        return claim
    if not is_handed_over(claim, site):
        return await _make_anew(claim, site, tools)  # a successor that was begun
    if not seen.is_of(site.home.claim_uid):
        message = (
            f"{where} has lost its label {namespace.CLAIM_LABEL}, so the policies don't act there and nothing is written "
            "into it; delete it, and the claim gets another"
        )
        findings.append(Finding(Reason.ISOLATION_DEGRADED, message))
        return claim
    mended = []
    if await _has_no_account(site, wrong):
        # said first: once the account is there nothing else tells that its tokens are dead
        said = access_status.overdue(claim, tools.clock.now_ms())
        claim = await tools.claims.write_status(claim, said)
    for each in wrong:
        async with site.asking(Urgency.SETUP):
            if await _put_back(site, seen, each):
                mended.append(str(each))
            else:
                findings.append(Finding(Reason.ISOLATION_DEGRADED, _not_ours(site, each)))
    if mended:
        await _see_quota(site)
        message = f"{where}: {', '.join(mended)}; it is as it was again"
        tools.events.note(claim, EventReason.REPAIRED, message)
    if any(each.startswith("serviceaccounts/") for each in mended):
        return await _new_tokens(claim, tools)  # those of an account that is gone are dead
    return claim


async def _has_no_account(site: Site, wrong: list[Difference]) -> bool:
    """Say whether the tenant's account is gone; one of its name that isn't ours is there, and has tokens of its own."""
    account = "serviceaccounts", namespace.TENANT_ACCOUNT
    if Difference(*account, What.MISSING) not in wrong:
        return False
    async with site.asking(Urgency.SETUP):
        return await find_named(site.cluster.api, site.home.name, account) is None


def _not_ours(site: Site, each: Difference) -> str:
    return (
        f"{each.plural}/{each.name} in its namespace {site.home.name} at {site.alias} was made by somebody else; delete it, "
        "and Sublet makes its own"
    )


async def _put_back(site: Site, seen: Observed, each: Difference) -> bool:
    """Write one object as it should be; False if somebody else's has its name."""
    api, home = site.cluster.api, site.home
    if each.plural == "namespaces" and seen.namespace is not None:
        await api.patch(f"/api/v1/namespaces/{home.name}", namespace_patch(home, seen.namespace))
        return True
    ending = f"{each.plural}/{each.name}"
    path, wanted = next((p, o) for p, o in namespace.contents(home) if p.endswith(ending))
    if each.what is What.MISSING:
        return await _make(site, each, path, wanted)
    try:
        await api.apply(path, wanted)
    except Invalid:
        if each.plural != "rolebindings":
            raise
        # whom a binding binds to what can't be changed, only made anew
        live = seen.objects[each.plural, each.name]
        await api.delete(path, uid=live["metadata"]["uid"])
        return await _make(site, each, path, wanted)
    return True


async def _make(site: Site, each: Difference, path: str, wanted: dict[str, object]) -> bool:
    """Make an object that isn't there under our label; one of its name that we didn't make is left alone."""
    api, collection = site.cluster.api, path.rsplit("/", 1)[0]
    try:
        await api.request(
            "POST",
            collection,
            params={"fieldManager": FIELD_MANAGER},
            body=msgspec.json.encode(wanted),
        )
    except Conflict:
        live = await find_named(api, site.home.name, (each.plural, each.name))
        if live is not None and not is_made_by(live, FIELD_MANAGER):
            return False
        await api.apply(path, wanted)
    return True


async def _make_anew(claim: GpuClaim, site: Site, tools: Tools) -> GpuClaim:
    """Give the claim another namespace in place of one that is gone: said on the hub first, then made and proven."""
    nodes = {b.place.key for b in site.berths}
    if is_handed_over(claim, site):
        claim = await tools.claims.write_status(claim, bound_status.rehomed(claim, nodes))
    sites, silent = reachable_sites(claim, tools, allocation_of(claim).placements)
    new = next(s for s in sites if any(b.place.key in nodes for b in s.berths))
    await furnish(new)
    granted = await prove(new, tools)
    live = await tools.claims.get(claim)
    if live is None or not is_same_reservation(live, claim) or not is_steady(live):
        raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
    others = [s for s in sites if s is not new]
    live = await see_lost(live, tools)
    given, behind = await hand_out(live, [granted], others, silent, tools)
    message = f"its namespace at {site.alias} was deleted; {new.home.name} takes its place: read the kubeconfig again"
    tools.events.note(live, EventReason.NAMESPACE_REPLACED, message)
    said = access_status.renewed(live, given, behind, tools.clock.now_ms())
    return await tools.claims.write_status(live, said)


async def _mend_access(claim: GpuClaim, tools: Tools, findings: list[Finding]) -> GpuClaim | None:
    """Write the kubeconfig anew if it is gone or was changed, with new tokens; those of one that is gone are revoked.

    That it was lost is written on the claim first: a renewal goes on with it after any break, and where a cluster was
    silent. A change gives no token away and may be no more than another controller's annotation, so nobody who works
    with the old ones is thrown out.
    """
    access = claim.status.access
    if access is None:
        return claim
    state = await look_at_secret(tools.hub, claim, access)
    if state is SecretState.FINE:
        return claim
    said = f"Secret {access.secret_name} {state}"
    if state is SecretState.TAKEN:
        findings.append(Finding(Reason.ACCESS_LOST, said))
        return claim
    is_gone = state is SecretState.GONE
    told = lost(claim, tools) if is_gone else access_status.overdue(claim, tools.clock.now_ms())
    renewed = await renew(await tools.claims.write_status(claim, told), tools)
    if renewed is not None and renewed.status.access is not None:
        message = f"{said}; it was made anew with new tokens"
        if is_gone:
            partly = renewed.status.access.lost_time is not None
            where = "where their clusters answer" if partly else "everywhere"
            message = f"{message}, and the old ones were revoked {where}"
        tools.events.note(renewed, EventReason.ACCESS_RENEWED, message)
    return renewed


async def _new_tokens(claim: GpuClaim, tools: Tools) -> GpuClaim:
    """Write the kubeconfig with new tokens for the namespaces that it names; returns the claim as written."""
    access = claim.status.access
    known = {c.namespace for c in access.clusters} if access is not None else set()
    sites, silent = reachable_sites(claim, tools, allocation_of(claim).placements)
    known_sites = [s for s in sites if s.home.name in known]
    claim = await see_lost(claim, tools)
    given, behind = await hand_out(claim, [], known_sites, silent, tools)
    said = access_status.renewed(claim, given, behind, tools.clock.now_ms())
    return await tools.claims.write_status(claim, said)


async def _see_quota(site: Site) -> None:
    async with site.asking(Urgency.SETUP):
        hard = namespace.quota_hard(site.home)
        await proof.see_quota(site.cluster.api, site.home.name, hard)
