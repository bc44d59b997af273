"""The protocol that puts right what of a bound claim isn't as it was left. Run by the binder's engine, one per claim.

Looked at live first, then object by object: what is missing is made, what was changed is written again, what has our
names and isn't ours is left alone and said. A namespace that somebody deleted is never written into; when it is gone
the claim gets another of a new number, with new tokens, and goes on under the same allocation and meter. What can't be
done is a finding: the claim stays bound and is billed, and nothing else tells its tenant what is missing.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from sublet.api import access_status, bound_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import find_condition
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.binder import namespace, proof
from sublet.binder.access import SecretTaken, leads_into
from sublet.binder.bind import (
    Checkpoint,
    furnish,
    hand_out,
    is_same_reservation,
    prove,
    renew,
)
from sublet.binder.ports import ClusterRefuses, ClusterSilent, Overtaken, Tools
from sublet.binder.proof import IsolationFault
from sublet.binder.secret import SecretState, is_astray, look_at_secret, lost, see_lost
from sublet.binder.sites import Site, is_share_known, may_be_at, reachable_sites
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
from sublet.fleet.isolation import TENANT_ACCOUNT
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
        # what couldn't be looked at isn't well by that: what was found of it before stands
        is_known, is_done = _is_known(live, cluster_uid, tools), False
        try:
            mended = await _mend_all(live, cluster_uid, tools, checkpoint, findings)
            is_done = True
        finally:
            if findings or (is_known and is_done):
                note(ClaimUID(claim.metadata.uid), cluster_uid, tuple(findings))
        return mended

    return work


async def _mend_all(
    claim: GpuClaim,
    cluster_uid: ClusterUID,
    tools: Tools,
    checkpoint: Checkpoint,
    findings: list[Finding],
) -> GpuClaim | None:
    """Put right what can be in one cluster, then the kubeconfig; returns the claim as it is now."""
    for site in _sites(claim, cluster_uid, tools):
        checkpoint()
        if site.silent_beside is not None:
            continue  # it may be for nodes of that lease, too: what it should hold isn't known
        try:
            claim = await _mend_site(claim, site, tools, findings)
        except (ClusterRefuses, IsolationFault, SecretTaken) as fault:
            where = f"{_where(site)}: " if isinstance(fault, IsolationFault) else ""
            _note_fault(findings, fault, f"{where}{fault}")
            live = await tools.claims.get(claim)  # it may have been written since
            if live is None or not is_steady(live):
                return live
            claim = live
    try:
        return await _mend_access(claim, tools, findings)
    except SecretTaken as taken:
        _note_fault(findings, taken, str(taken))
        return await tools.claims.get(claim)


def _where(site: Site) -> str:
    return f"its namespace {site.home.name} at {site.alias}"


def _note_fault(findings: list[Finding], fault: Exception, message: str) -> None:
    """Note what can't be done now; of its kubeconfig a claim is told once."""
    is_access = isinstance(fault, SecretTaken)
    reason = Reason.ACCESS_LOST if is_access else Reason.ISOLATION_DEGRADED
    if not is_access or all(f.reason is not reason for f in findings):
        findings.append(Finding(reason, message))


def is_handed_over(claim: GpuClaim, site: Site) -> bool:
    """Say whether the claim's kubeconfig names this namespace; not so while it takes another's place."""
    return leads_into(claim.status.access, site.home.name)


def drifted(claim: GpuClaim, site: Site, seen: Observed, tools: Tools) -> list[Difference]:
    """Return what differs in one namespace.

    A quota's limits on CPU and memory are those of a part of a node: no quota is called changed while nobody knows
    whether the claim has such a part, or it would lose them. Nor while pods are on nodes that the claim leaves: then it
    may be that of both, and leaving them makes it that of the others.
    """
    found = differences(site.home, seen)
    if _is_quota_known(claim, site, tools):
        return found
    return [d for d in found if (d.plural, d.what) != ("resourcequotas", What.CHANGED)]


def _is_quota_known(claim: GpuClaim, site: Site, tools: Tools) -> bool:
    return is_share_known(claim, site, tools) and not is_left_from(claim, site.home.sequence)


def _is_slack(claim: GpuClaim, site: Site, seen: Observed, tools: Tools) -> bool:
    """Say whether a quota that is as it was isn't in force; of a claim that says that something was wrong."""
    said = find_condition(claim.status.conditions, "Degraded")
    if said is None or said.reason != Reason.ISOLATION_DEGRADED:
        return False
    quota = seen.objects.get(("resourcequotas", namespace.QUOTA))
    is_asked_for = quota is not None and _is_quota_known(claim, site, tools)
    return is_asked_for and not proof.is_enforced(quota or {}, namespace.quota_hard(site.home))


def _is_known(claim: GpuClaim, cluster_uid: ClusterUID, tools: Tools) -> bool:
    """Say whether each lease by which a claim may have nodes in a cluster can be asked."""
    places = allocation_of(claim).placements
    _, silent = reachable_sites(claim, tools, places)
    return not any(p.lease in silent and may_be_at(p, cluster_uid, tools.lease) for p in places)


def _sites(claim: GpuClaim, cluster_uid: ClusterUID, tools: Tools) -> list[Site]:
    found, _ = reachable_sites(claim, tools, allocation_of(claim).placements)
    return [site for site in found if site.cluster.facts.cluster_uid == cluster_uid]


async def _mend_site(
    claim: GpuClaim, site: Site, tools: Tools, findings: list[Finding]
) -> GpuClaim:
    """Put right one namespace; returns the claim as written last."""
    where = _where(site)
    async with site.asking(Urgency.SETUP):
        seen = await look_into(site.cluster, site.home.name)
        # judged here too: what has another shape is the cluster's fault
        is_ours = seen.is_of(site.home.claim_uid)
        wrong = drifted(claim, site, seen, tools) if is_ours else []
        is_slack = is_ours and not wrong and _is_slack(claim, site, seen, tools)
    if seen.namespace is None:
        return await _make_anew(claim, site, tools, findings)
    if seen.is_ending:
        message = f"{where} was deleted by somebody else; when it is gone the claim gets another, and a new kubeconfig"
        findings.append(Finding(Reason.NAMESPACE_TERMINATING, message))
        return claim
    if not is_handed_over(claim, site):
        return await _make_anew(claim, site, tools, findings)  # a successor that was begun
    if not is_ours:
        message = (
            f"{where} has lost its label {namespace.CLAIM_LABEL}, so the policies don't act there and nothing is written "
            "into it; delete it, and the claim gets another"
        )
        findings.append(Finding(Reason.ISOLATION_DEGRADED, message))
        return claim
    if is_slack:
        findings.append(Finding(Reason.ISOLATION_DEGRADED, f"{where}: {proof.NOT_ENFORCED}"))
    return await _put_all_back(claim, site, seen, wrong, tools, findings)


async def _put_all_back(
    claim: GpuClaim,
    site: Site,
    seen: Observed,
    wrong: list[Difference],
    tools: Tools,
    findings: list[Finding],
) -> GpuClaim:
    """Write what differs in a namespace that is there, isn't going, and is the claim's."""
    mended = []
    if await _has_no_account(site, wrong):
        # said first: once the account is there nothing else tells that its tokens are dead
        said = access_status.dead(claim, site.alias, site.home.name, tools.clock.now_ms())
        claim = await tools.claims.write_status(claim, said)
        tools.grants.pop((ClaimUID(claim.metadata.uid), site.alias), None)
    for each in wrong:
        async with site.asking(Urgency.SETUP):
            if await _put_back(site, seen, each):
                mended.append(str(each))
            else:
                findings.append(Finding(Reason.ISOLATION_DEGRADED, _not_ours(site, each)))
    if mended:
        if _is_quota_set(claim, site, wrong, mended, tools):
            await _see_quota(site)
        message = f"{_where(site)}: {', '.join(mended)}; it is as it was again"
        tools.events.note(claim, EventReason.REPAIRED, message)
    if any(each.startswith("serviceaccounts/") for each in mended):
        return await _new_tokens(claim, tools)  # those of an account that is gone are dead
    return claim


def _is_quota_set(
    claim: GpuClaim, site: Site, wrong: list[Difference], mended: list[str], tools: Tools
) -> bool:
    """Say whether the quota there is now the one that should be."""
    off = [str(each) for each in wrong if each.plural == "resourcequotas"]
    return {*off} <= {*mended} if off else _is_quota_known(claim, site, tools)


async def _has_no_account(site: Site, wrong: list[Difference]) -> bool:
    """Say whether the tenant's account is gone; one of its name that isn't ours is there, and has tokens of its own."""
    account = "serviceaccounts", TENANT_ACCOUNT
    if Difference(*account, What.MISSING) not in wrong:
        return False
    async with site.asking(Urgency.SETUP):
        return await find_named(site.cluster.api, site.home.name, account) is None


def _not_ours(site: Site, each: Difference) -> str:
    return (
        f"{each.plural}/{each.name} in {_where(site)} was made by somebody else; delete it, "
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
    if each.plural != "roles":  # what a role may give goes by its name, which a POST hasn't got
        with suppress(Conflict):
            await api.request(
                "POST",
                collection,
                params={"fieldManager": FIELD_MANAGER},
                body=msgspec.json.encode(wanted),
            )
            return True
    live = await find_named(api, site.home.name, (each.plural, each.name))
    if live is not None and not is_made_by(live, FIELD_MANAGER):
        return False
    await api.apply(path, wanted)
    return True


async def _make_anew(
    claim: GpuClaim, site: Site, tools: Tools, findings: list[Finding]
) -> GpuClaim:
    """Give the claim another namespace in place of one that is gone: said on the hub first, then made and proven."""
    gone = f"its namespace at {site.alias} was deleted"
    nodes = {b.place.key for b in site.berths}
    if is_handed_over(claim, site):
        claim = await tools.claims.write_status(claim, bound_status.rehomed(claim, nodes))
    sites, silent = reachable_sites(claim, tools, allocation_of(claim).placements)
    new = next(s for s in sites if any(b.place.key in nodes for b in s.berths))
    try:
        await furnish(new)
        granted = await prove(new, tools)
    except (ClusterSilent, ClusterRefuses, IsolationFault) as fault:
        _note_fault(findings, fault, f"{gone}, and another can't be handed over yet: {fault}")
        return claim
    live = await tools.claims.get(claim)
    if live is None or not is_same_reservation(live, claim) or not is_steady(live):
        raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
    others = [s for s in sites if s is not new]
    live = await see_lost(live, tools)
    try:
        given, behind = await hand_out(live, [granted], others, silent, tools)
    except SecretTaken as taken:
        _note_fault(findings, taken, f"{gone}, and another can't be handed over yet: {taken}")
        return live
    message = f"{gone}; {new.home.name} takes its place: read the kubeconfig again"
    tools.events.note(live, EventReason.NAMESPACE_REPLACED, message)
    said = access_status.renewed(live, given, behind, tools.clock.now_ms())
    return await tools.claims.write_status(live, said)


async def _mend_access(claim: GpuClaim, tools: Tools, findings: list[Finding]) -> GpuClaim | None:
    """Write the kubeconfig anew if it is gone, was changed or leads nowhere; the tokens of one that is gone are revoked.

    That it was lost is written on the claim first: a renewal goes on with it after any break, and where a cluster was
    silent. A change gives no token away and may be no more than another controller's annotation, so nobody who works
    with the old ones is thrown out.
    """
    access = claim.status.access
    if access is None:
        return claim
    state = await look_at_secret(tools.hub, claim, access)
    sites, _ = reachable_sites(claim, tools, allocation_of(claim).placements)
    if state is SecretState.FINE and any(is_astray(claim, site) for site in sites):
        state = SecretState.ASTRAY
    if state is SecretState.FINE:
        return claim
    said = f"Secret {access.secret_name} {state}"
    if state is SecretState.TAKEN:
        if all(f.reason is not Reason.ACCESS_LOST for f in findings):
            findings.append(Finding(Reason.ACCESS_LOST, said))
        return claim
    if sites and not any(is_handed_over(claim, site) for site in sites):
        return claim  # nobody is let into a namespace before it is proven: that writes the Secret
    is_gone, now_ms = state is SecretState.GONE, tools.clock.now_ms()
    if is_gone:
        claim = await tools.claims.write_status(claim, lost(claim, tools))
    elif access.renewal_time is None or access.renewal_time > now_ms:
        claim = await tools.claims.write_status(claim, access_status.overdue(claim, now_ms))
    renewed = await renew(claim, tools)
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
    sites, silent = reachable_sites(claim, tools, allocation_of(claim).placements)
    claim = await see_lost(claim, tools)
    given, behind = await hand_out(claim, [], sites, silent, tools)
    said = access_status.renewed(claim, given, behind, tools.clock.now_ms())
    return await tools.claims.write_status(claim, said)


async def _see_quota(site: Site) -> None:
    async with site.asking(Urgency.SETUP):
        hard = namespace.quota_hard(site.home)
        await proof.see_quota(site.cluster.api, site.home.name, hard)
