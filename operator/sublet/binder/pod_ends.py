"""How a claim's pods are asked to end, and what is said of those whose deletion their cluster fails.

A server that fails to delete one pod of a list leaves those behind it as they are, so then each is asked by itself. It fails
where a pod leaves the time of its deletion no room in the store: that one runs until a person has shrunk it. The operator may
delete lists alone, so one pod is a list that selects its name.
"""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import msgspec

from sublet.api.names import DNS_NAME
from sublet.api.wording import how_many
from sublet.binder.ports import ClusterRefuses, StillThere
from sublet.binder.sites import Site
from sublet.kube.errors import BadAnswer, ServerError
from sublet.kube.wire import Pod

GRACE_SECONDS: Final = 30
POD_DELETION: Final = msgspec.json.encode(
    {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": GRACE_SECONDS,
        "propagationPolicy": "Background",
    }
)
"""Without the last a pod that its tenant deletes in the foreground waits for its dependents, which may never go. A server takes that
wish off only when the pod's grace is over: each try must ask anew."""
_MOST_ALONE: Final = 1_000
"""Pods that are asked one by one: the quota lets a claim have no more."""
_NAME: Final = re.compile(DNS_NAME)


async def end_pods(site: Site, pods: Sequence[Pod], *fields: str) -> list[str]:
    """Ask the pods of a claim's namespace that have these fields to end; return the names of those whose deletion fails.

    Raises the errors of the API, also of a server that is in trouble as a whole.
    """
    if not await _fails(site, fields):
        return []
    return [n for n in _names(pods) if await _fails(site, (*fields, f"metadata.name={n}"))]


def still_there(site: Site, pods: Sequence[Pod], failed: Collection[str]) -> Exception:
    """Return why pods that were asked to end are waited for, in words of our own."""
    stuck = [name for name in _names(pods) if name in failed]
    if not stuck:
        return StillThere(
            f"waiting for {how_many(len(pods), 'pod')} of the claim to end at {site.alias}"
        )
    more = f" and {len(stuck) - 1} more" if len(stuck) > 1 else ""
    return ClusterRefuses(
        site.alias,
        f"its API server answers, and fails to delete pod {stuck[0]}{more}, which runs on; it may be too large for the store: "
        "whoever is admin there takes labels or annotations off it and deletes it",
    )


async def _fails(site: Site, fields: Sequence[str]) -> bool:
    """Ask pods to end; say whether the server fails to write that."""
    path = f"/api/v1/namespaces/{site.home.name}/pods"
    selected = {"fieldSelector": ",".join(fields)} if fields else None
    try:
        # what was deleted is in the answer, and may be more than one may have
        with suppress(BadAnswer):
            await site.cluster.api.request("DELETE", path, params=selected, body=POD_DELETION)
    except ServerError as error:
        if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return True
    return False


def _names(pods: Sequence[Pod]) -> list[str]:
    """Return the names that an API server lets pods have: another one could select or say something else."""
    return [p.metadata.name for p in pods if _NAME.fullmatch(p.metadata.name)][:_MOST_ALONE]
