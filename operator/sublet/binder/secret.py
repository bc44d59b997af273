"""Is the tenant's kubeconfig on the hub as it was written? Asked without reading it: by a dry run of overwriting it.

The operator may not read Secrets (`sublet.binder.access`). A dry run under the resourceVersion of an earlier write
writes nothing and says whether the Secret is there, and unchanged.
"""

from enum import StrEnum

from sublet.api import access_status
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import Access, ClaimStatus, GpuClaim
from sublet.binder.access import leads_elsewhere, secret_name, secret_of, secrets_path
from sublet.binder.ports import Tools
from sublet.binder.sites import Site
from sublet.kube.errors import Conflict, Forbidden, Invalid, NotFound
from sublet.kube.session import ApiServer


class SecretState(StrEnum):
    """What became of a claim's kubeconfig."""

    FINE = "is as it was written"
    GONE = "was deleted"
    CHANGED = "was changed"
    TAKEN = "isn't this claim's: delete it and Sublet makes it anew"
    ASTRAY = "had an address or a CA by which its cluster isn't reached any more"


async def look_at_secret(hub: ApiServer, claim: GpuClaim, access: Access) -> SecretState:
    """Ask whether the Secret is there as it was written last; fine if it wasn't yet, as after a restore."""
    if access.secret_version is None:
        return SecretState.FINE
    return await _state(hub, claim, access.secret_version)


async def has_written(hub: ApiServer, claim: GpuClaim) -> bool:
    """Say whether a try of this reservation wrote the Secret: it stands, and not as an earlier reservation left it."""
    earlier = claim.status.earlier_secret_version
    state = await _state(hub, claim, earlier)
    return state is SecretState.CHANGED or (state is SecretState.FINE and earlier is None)


def is_astray(claim: GpuClaim, site: Site) -> bool:
    """Say whether the claim's kubeconfig has another address or CA for a site than its lease's connection has now."""
    clusters = claim.status.access.clusters if claim.status.access is not None else ()
    there = (c for c in clusters if (c.alias, c.namespace) == (site.alias, site.home.name))
    return any(leads_elsewhere(c, site.cluster.tenant_endpoint) for c in there)


async def see_lost(claim: GpuClaim, tools: Tools) -> GpuClaim:
    """Say on the hub that the Secret was deleted, if it was; returns the claim as written last.

    Asked before new tokens are written: they make the Secret anew, and then nothing tells any more that it was gone.
    """
    access = claim.status.access
    if access is None or access.lost_time is not None:
        return claim
    if await look_at_secret(tools.hub, claim, access) is not SecretState.GONE:
        return claim
    written = await tools.claims.write_status(claim, lost(claim, tools))
    message = f"Secret {access.secret_name} was deleted; its tokens are revoked, and it is made anew with new ones"
    tools.events.note(written, EventReason.ACCESS_RENEWED, message)
    return written


def lost(claim: GpuClaim, tools: Tools) -> ClaimStatus:
    """Return the status of a claim whose Secret was deleted just now."""
    now_ms = tools.clock.now_ms()
    known = (g for (uid, _), g in tools.grants.items() if uid == claim.metadata.uid)
    # where our clock went back, no token that is out may look younger than its loss
    lost_ms = max([now_ms, *(g.requested_ms for g in known)])
    return access_status.lost(claim, lost_ms, now_ms)


async def _state(hub: ApiServer, claim: GpuClaim, version: str | None) -> SecretState:
    secret = secret_of(claim, "")
    if version is not None:
        secret["metadata"]["resourceVersion"] = version
    try:
        await hub.replace(f"{secrets_path(claim)}/{secret_name(claim)}", secret, dry_run=True)
    except NotFound:
        return SecretState.GONE
    except Conflict:
        return SecretState.CHANGED
    except (Forbidden, Invalid):
        return SecretState.TAKEN
    return SecretState.FINE
