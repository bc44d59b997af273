"""Who may get in, and that whoever is bound can: S4, S5, S12, L5. Pure."""

from collections.abc import Iterator

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.times import format_instant
from sublet.verify.index import Index, about, holds, namespace_name, places_of
from sublet.verify.violation import Violation
from sublet.verify.world import NamespaceSeen


def bound_namespaces_are_complete(index: Index) -> Iterator[Violation]:
    """S4: a Bound claim's namespaces are there, with quota, NetworkPolicy and role binding."""
    for claim in index.bound():
        allocation = claim.status.allocation
        needed = index.sites(claim, allocation.placements if allocation else ())
        most = index.sites(claim, places_of(claim).values())
        unplaced = index.unplaced(claim)
        for (cluster_uid, name), gpus in needed.items():
            cluster = next(c for c in index.world.clusters if str(c.uid) == cluster_uid)
            if cluster.namespaces is None:
                continue
            subject = f"namespace {cluster.name}/{name}"
            found = index.namespaces.get((cluster_uid, name))
            if found is None or found.is_ending:
                state = "missing" if found is None else "going away"
                text = f"claim {claim.metadata.key} is bound, but its namespace is {state}; end the claim, or make it anew"
                yield Violation("S4", subject, text, about(claim))
                continue
            for fault in _faults(claim, found):
                yield Violation("S4", subject, fault, about(claim))
            fault = _fault_of_quota(claim, found, gpus, most[cluster_uid, name])
            if fault and name not in unplaced:
                yield Violation("S4", subject, fault, about(claim))


def _faults(claim: GpuClaim, found: NamespaceSeen) -> Iterator[str]:
    key = claim.metadata.key
    if found.claim_uid != claim.metadata.uid:
        yield f"claim {key} uses it, but its label sublet.dev/claim is {found.claim_uid}; put {claim.metadata.uid} back"
    parts = {
        "ResourceQuota": found.has_quota,
        "NetworkPolicy": found.has_policy,
        "RoleBinding": found.has_binding,
    }
    for kind, there in parts.items():
        if there is False:
            yield f"claim {key} is bound, but the {kind} is missing; the operator must make it anew"


def _fault_of_quota(claim: GpuClaim, found: NamespaceSeen, least: int, most: int) -> str:
    """Return what is wrong with a quota that is there, "" if nothing is."""
    if not found.has_quota or least <= (found.quota_gpus or 0) <= most:
        return ""
    between = str(least) if least == most else f"between {least} and {most}"
    return f"the quota allows {found.quota_gpus} GPUs, not {between} as claim {claim.metadata.key} holds; the operator must mend it"


def bound_tenants_have_accounts(index: Index) -> Iterator[Violation]:
    """S4, eventually: a Bound claim's account is there; it goes for a moment, with all its tokens, where a kubeconfig was lost."""
    for claim in index.bound():
        allocation = claim.status.allocation
        for site in index.sites(claim, allocation.placements if allocation else ()):
            found = index.namespaces.get(site)
            if found is not None and found.has_account is False and not found.is_ending:
                cluster = next(c for c in index.world.clusters if str(c.uid) == site[0])
                text = f"claim {claim.metadata.key} is bound, but the ServiceAccount is missing; the operator must make it anew"
                yield Violation("S4", f"namespace {cluster.name}/{site[1]}", text, about(claim))


def quotas_are_enforced(index: Index) -> Iterator[Violation]:
    """S4, eventually: a quota acts only once its status says so; for a moment after a change it doesn't."""
    for cluster in index.world.clusters:
        for found in cluster.namespaces or ():
            if found.is_quota_live is False and not found.is_ending:
                text = "the quota's status.hard isn't its spec: it isn't enforced; is the cluster's quota controller running?"
                yield Violation("S4", f"namespace {cluster.name}/{found.name}", text)


def access_is_shown_while_bound(index: Index) -> Iterator[Violation]:
    """S5: status.access is there exactly while the claim is Bound, billed since boundTime, in namespaces of its own."""
    for claim in index.world.claims:
        subject, status = f"claim {claim.metadata.key}", claim.status
        bound = is_true(status.conditions, "Bound")
        if bound != (status.access is not None):
            wrong = "is bound without access" if bound else "shows access though it isn't bound"
            yield Violation("S5", subject, f"it {wrong}; its status was written by somebody else")
        allocation = status.allocation
        if bound and (allocation is None or allocation.bound_time is None):
            text = "it is bound without an allocation or boundTime; its status was written by somebody else"
            yield Violation("S5", subject, text)
        mine = namespace_name(claim.metadata.uid, 0).removesuffix("0")
        for where in status.access.clusters if status.access is not None else ():
            if not where.namespace.startswith(mine):
                text = f"its access at {where.alias} leads to namespace {where.namespace}, which isn't its own; end the claim"
                yield Violation("S5", subject, text)


def secrets_lie_beside_their_claims(index: Index) -> Iterator[Violation]:
    """S5: a kubeconfig lies in the namespace of the claim that owns it."""
    for secret in index.world.secrets or ():
        claim = index.claims.get(secret.claim_uid) if secret.claim_uid is not None else None
        if claim is not None and secret.namespace != claim.metadata.namespace:
            text = f"it belongs to claim {claim.metadata.key}, in another namespace; delete it and end the claim"
            yield Violation("S5", f"secret {secret.namespace}/{secret.name}", text)


def rights_end_with_the_claim(index: Index) -> Iterator[Violation]:
    """S5, eventually: no role binding and no account in a namespace whose claim holds nothing."""
    for cluster in index.world.clusters:
        for found in cluster.namespaces or ():
            claim = index.claims.get(found.claim_uid) if found.claim_uid is not None else None
            if claim is None or holds(claim) or not (found.has_binding or found.has_account):
                continue
            text = f"claim {claim.metadata.key} holds nothing, but its tenant's rights are still there; delete the namespace"
            yield Violation("S5", f"namespace {cluster.name}/{found.name}", text, about(claim))


def bound_claims_have_valid_access(index: Index) -> Iterator[Violation]:
    """L5, eventually: the Secret is there, has a context for each cluster that was read, and no token there is over."""
    owned = {(s.namespace, s.name): s.claim_uid for s in index.world.secrets or ()}
    for claim in index.bound():
        access, allocation = claim.status.access, claim.status.allocation
        if access is None or allocation is None:
            continue
        subject = f"claim {claim.metadata.key}"
        if index.world.secrets is not None:
            owner = owned.get((claim.metadata.namespace, access.secret_name))
            if owner != claim.metadata.uid:
                text = f"its Secret {access.secret_name} is missing or another's; it is made anew when its tokens are renewed"
                yield Violation("L5", subject, text, about(claim))
        until = {c.namespace: c.expiration_time for c in access.clusters}
        for _, name in index.sites(claim, allocation.placements):
            if name not in until:
                text = f"its kubeconfig has no context for namespace {name}; look why its tokens aren't renewed"
                yield Violation("L5", subject, text, about(claim))
            elif until[name] <= index.world.now_ms:
                text = f"its token for namespace {name} ended at {format_instant(until[name])}; look why it isn't renewed"
                yield Violation("L5", subject, text, about(claim))


def nothing_shows_a_credential(index: Index) -> Iterator[Violation]:
    """S12: no token and no kubeconfig in status, Events or annotations."""
    for leak in index.world.leaks:
        text = f"its {leak.place} shows {leak.kind}; revoke it (sublet onboard --rotate, or end the claim) and take it out"
        yield Violation("S12", leak.subject, text)
