"""How a claim's pods are asked to end, and what is said of those whose deletion their cluster fails or refuses.

A server that can't delete one pod of a list leaves those behind it as they are, so then each is asked by itself. It fails
where a pod leaves the time of its deletion no room in the store, and refuses where a landlord's webhook or policy does: that
one runs until a person has seen to it. The operator may delete lists alone, so one pod is a list that selects its name.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import msgspec

from sublet.api.names import DNS_NAME
from sublet.api.wording import how_many
from sublet.binder.ports import ClusterRefuses, StillThere
from sublet.binder.sites import Site
from sublet.kube.errors import (
    ApiError,
    BadAnswer,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthorized,
)
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
_NOBODY: Final = "-"
"""No pod can be called so: whoever may delete pods is let delete a list of none."""
_OF_ALL: Final = (Unauthorized, NotFound, TooManyRequests)
"""What is answered for a cluster or a namespace. All else may be about one pod: webhooks choose their status, by default 400."""


async def end_pods(site: Site, pods: Sequence[Pod], *fields: str) -> dict[str, int]:
    """Ask the pods of a claim's namespace that have these fields to end; return by name with which HTTP status some stay.

    Raises the errors of the API, also of a server that is in trouble as a whole, and Forbidden where the right is missing.
    """
    refusal = await _refusal(site, fields)
    if refusal is None:
        return {}
    if isinstance(refusal, Forbidden) and await _refusal(site, (*fields, _named(_NOBODY))):
        raise refusal
    asked = {name: await _refusal(site, (*fields, _named(name))) for name in _names(pods)}
    return {name: error.status for name, error in asked.items() if error is not None}


def still_there(site: Site, pods: Sequence[Pod], stay: Mapping[str, int]) -> Exception:
    """Return why pods that were asked to end are waited for, in words of our own."""
    stuck = [name for name in _names(pods) if name in stay]
    if not stuck:
        return StillThere(
            f"waiting for {how_many(len(pods), 'pod')} of the claim to end at {site.alias}"
        )
    more = f" and {len(stuck) - 1} more" if len(stuck) > 1 else ""
    which = f"to delete pod {stuck[0]}{more}, which runs on"
    if stay[stuck[0]] == HTTPStatus.INTERNAL_SERVER_ERROR:
        text = (
            f"its API server answers, and fails {which}; it may be too large for the store: "
            "whoever is admin there takes labels or annotations off it and deletes it"
        )
    else:
        text = (
            f"its API server refuses {which}; a webhook or a policy there may ask for that: "
            "whoever is admin there exempts the claim's namespace from it, or deletes the pod"
        )
    return ClusterRefuses(site.alias, text)


async def _refusal(site: Site, fields: Sequence[str]) -> ApiError | None:
    """Ask pods to end; return the answer by which one of them doesn't."""
    path = f"/api/v1/namespaces/{site.home.name}/pods"
    selected = {"fieldSelector": ",".join(fields)} if fields else None
    try:
        # what was deleted is in the answer, and may be more than one may have
        with suppress(BadAnswer):
            await site.cluster.api.request("DELETE", path, params=selected, body=POD_DELETION)
    except ApiError as error:
        if isinstance(error, _OF_ALL) or error.status > HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return error
    return None


def _named(name: str) -> str:
    return f"metadata.name={name}"


def _names(pods: Sequence[Pod]) -> list[str]:
    """Return the names that an API server lets pods have: another one could select or say something else."""
    return [p.metadata.name for p in pods if _NAME.fullmatch(p.metadata.name)][:_MOST_ALONE]
