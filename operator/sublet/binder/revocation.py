"""Makes the tenant's account anew where the kubeconfig was lost: every token that it had is refused within seconds.

`status.access.lostTime` is written before, so that it is gone through with after any break, and in a cluster that was
silent then. Pods that use the account get new tokens with it.
"""

from collections.abc import Iterable
from contextlib import suppress

from sublet.api.times import Millis
from sublet.binder.access import Grant, account_path
from sublet.binder.namespace import contents
from sublet.binder.ports import ClusterRefuses, ClusterSilent
from sublet.binder.sites import Site
from sublet.binder.slots import Urgency
from sublet.kube.errors import NotFound
from sublet.logs import log_about


async def revoke(
    sites: Iterable[Site], known: Iterable[Grant], lost_ms: Millis
) -> tuple[list[Site], list[str]]:
    """Revoke what was given out before `lost_ms`; return the sites where that is done, and the aliases where it isn't.

    `known`: the tokens that this process minted last; one that is younger was minted after its elders were revoked.
    """
    young = {(g.alias, g.namespace) for g in known if g.requested_ms > lost_ms}
    done, refusing = [], []
    for site in sites:
        try:
            if (site.alias, site.home.name) not in young:
                await _make_anew(site)
        except (ClusterSilent, ClusterRefuses) as error:
            log = log_about(claim_uid=site.home.claim_uid, lease=site.cluster.lease)
            log.warning("tokens not revoked", error=str(error))
            refusing.append(site.alias)
        else:
            done.append(site)
    return done, refusing


async def _make_anew(site: Site) -> None:
    path = account_path(site.home.name)
    account = next(obj for of, obj in contents(site.home) if of == path)
    async with site.asking(Urgency.RELEASE):
        with suppress(NotFound):
            await site.cluster.api.delete(path)
        await site.cluster.api.apply(path, account)
