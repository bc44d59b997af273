"""Is the tenant's kubeconfig on the hub as it was written? Asked without reading it: by a dry run of overwriting it.

The operator may not read Secrets (`sublet.binder.access`). A dry run under the resourceVersion of the last write
writes nothing and says whether the Secret is there, and unchanged.
"""

from enum import StrEnum

from sublet.api.gpuclaim import Access, GpuClaim
from sublet.binder.access import secret_of, secrets_path
from sublet.kube.errors import Conflict, Forbidden, Invalid, NotFound
from sublet.kube.session import ApiServer


class SecretState(StrEnum):
    """What became of a claim's kubeconfig."""

    FINE = "is as it was written"
    GONE = "was deleted"
    CHANGED = "was changed"
    TAKEN = "isn't this claim's: delete it and Sublet makes it anew"


async def look_at_secret(hub: ApiServer, claim: GpuClaim, access: Access) -> SecretState:
    """Ask whether the Secret is there as it was written last; fine if it wasn't yet, as after a restore."""
    if access.secret_version is None:
        return SecretState.FINE
    secret = secret_of(claim, "")
    secret["metadata"]["resourceVersion"] = access.secret_version
    try:
        path = f"{secrets_path(claim)}/{access.secret_name}"
        await hub.replace(path, secret, dry_run=True)
    except NotFound:
        return SecretState.GONE
    except Conflict:
        return SecretState.CHANGED
    except (Forbidden, Invalid):
        return SecretState.TAKEN
    return SecretState.FINE
