"""What a bound claim is told about its way in: tokens renewed, or until when the old ones last. Part of `claim_status`.

The condition AccessRenewed is there only while something is wrong, or was: a claim whose tokens were always renewed in
time needs no word about it.
"""

from collections.abc import Collection
from typing import Final

from sublet.api.claim_status import next_status, ready_of, standing_of
from sublet.api.common import Status, find_condition
from sublet.api.gpuclaim import Access, ClaimStatus, GpuClaim
from sublet.api.times import Millis, format_instant

RENEWED: Final = "AccessRenewed"


def renewed(
    claim: GpuClaim, access: Access, behind: Collection[str], now_ms: Millis
) -> ClaimStatus:
    """The tokens were renewed, but for those of the clusters `behind`, by alias, which can't be asked."""
    if not behind and find_condition(claim.status.conditions, RENEWED) is None:
        return claim.status.model_copy(update={"access": access})
    late = [c for c in access.clusters if c.alias in behind]
    if late:
        state = (Status.FALSE, "ClusterSilent")
        message = f"{'; '.join(_until(c.alias, c.expiration_time, now_ms) for c in late)}; renewal is tried again"
    else:
        state, message = (Status.TRUE, "Renewed"), "every token was renewed"
    degraded = standing_of(claim, "Degraded")
    return next_status(
        claim,
        now_ms,
        ready=ready_of(claim),
        progress="Reconciling" if claim.status.move is not None else None,
        states={RENEWED: state, **{c.type: (c.status, c.reason) for c in degraded}},
        messages={RENEWED: message, **{c.type: c.message for c in degraded}},
        update={"access": access},
    )


def lost(claim: GpuClaim, lost_ms: Millis, now_ms: Millis) -> ClaimStatus:
    """Somebody deleted the Secret: a new one is due at once, and all tokens until `lost_ms` are to die."""
    access = claim.status.access
    if access is None:
        return claim.status
    update = {"lost_time": lost_ms, "renewal_time": now_ms}
    return claim.status.model_copy(update={"access": access.model_copy(update=update)})


def overdue(claim: GpuClaim, now_ms: Millis) -> ClaimStatus:
    """New tokens are due at once: the Secret was changed, or leads to where a cluster isn't reached any more."""
    access = claim.status.access
    if access is None:
        return claim.status
    update = {"access": access.model_copy(update={"renewal_time": now_ms})}
    return claim.status.model_copy(update=update)


def dead(claim: GpuClaim, alias: str, namespace: str, now_ms: Millis) -> ClaimStatus:
    """New tokens are due at once: those in one namespace died with their account, so they are a reason to wait for nobody."""
    access = claim.status.access
    if access is None:
        return claim.status
    clusters = tuple(
        c.model_copy(update={"expiration_time": min(c.expiration_time, now_ms)})
        if (c.alias, c.namespace) == (alias, namespace)
        else c
        for c in access.clusters
    )
    update = {"access": access.model_copy(update={"clusters": clusters, "renewal_time": now_ms})}
    return claim.status.model_copy(update=update)


def _until(alias: str, expires_ms: Millis, now_ms: Millis) -> str:
    lasts = "lasts until" if expires_ms > now_ms else "ended"
    return f"access to {alias} {lasts} {format_instant(expires_ms)}: the cluster gives no new token"
