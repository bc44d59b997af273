"""Is the tenant's kubeconfig on the hub as it was written? Asked without reading it: by a dry run of overwriting it.

The operator may not read Secrets (`sublet.binder.access`). A dry run under the resourceVersion of the last write
writes nothing and says whether the Secret is there, and unchanged.
"""

from contextlib import suppress
from enum import StrEnum

from sublet.api.common import API_VERSION
from sublet.api.gpuclaim import Access, GpuClaim
from sublet.binder.access import SECRET_TYPE, secret_name
from sublet.binder.namespace import TENANT_ACCOUNT, contents
from sublet.binder.sites import Site
from sublet.binder.slots import Urgency
from sublet.drift.compare import PLURALS
from sublet.kube.errors import Conflict, Forbidden, Invalid, NotFound
from sublet.kube.session import ApiServer


class SecretState(StrEnum):
    """What became of a claim's kubeconfig."""

    FINE = "is as it was written"
    GONE = "was deleted"
    CHANGED = "was changed"
    TAKEN = "isn't this claim's: delete it and Sublet makes it anew"


async def look_at_secret(hub: ApiServer, claim: GpuClaim, access: Access) -> SecretState:
    """Ask whether the Secret is there as it was written last."""
    meta, name = claim.metadata, secret_name(claim)
    owner = {"apiVersion": API_VERSION, "kind": "GpuClaim", "name": meta.name, "uid": meta.uid}
    known = {"resourceVersion": access.secret_version} if access.secret_version else {}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "ownerReferences": [owner],
            **known,
        },
    }
    try:
        await hub.replace(
            f"/api/v1/namespaces/{meta.namespace}/secrets/{name}", secret, dry_run=True
        )
    except NotFound:
        return SecretState.GONE
    except Conflict:
        return SecretState.CHANGED
    except (Forbidden, Invalid):
        return SecretState.TAKEN
    return SecretState.FINE


async def revoke(site: Site) -> None:
    """Make the tenant's account anew: tokens of the old one are refused within seconds."""
    api, home = site.cluster.api, site.home
    path = f"{PLURALS['serviceaccounts']}/namespaces/{home.name}/serviceaccounts/{TENANT_ACCOUNT}"
    async with site.asking(Urgency.RELEASE):
        with suppress(NotFound):
            await api.delete(path)
        await api.apply(path, next(o for p, o in contents(home) if p == path))
