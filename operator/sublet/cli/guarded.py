"""Writing to a claim as it was shown to a person, though the operator writes its status in the same moments.

A claim's resourceVersion guards what is written. That it changed says only that somebody wrote something; whether it shows
the same still is looked up, and what shows the same is written.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import CLAIMS
from sublet.cli.connect import Cluster
from sublet.cli.problems import Problem
from sublet.kube.errors import ApiError, Conflict, Invalid, NotFound
from sublet.kube.session import JsonPatch

T = TypeVar("T")

_TRIES: Final = 10
"""The operator writes a claim's status a few times in a row at most."""


async def write_as_shown(
    hub: Cluster,
    claim: GpuClaim,
    shows: Callable[[GpuClaim], object],
    write: Callable[[GpuClaim], Awaitable[T]],
    again: str,
) -> T:
    """Write with the claim's version as a condition, again while what it `shows` is unchanged; Problem if it isn't.

    `again` says what the person does then. A refusal of the very version that was read is a Problem with the hub's words.
    """
    meta, shown = claim.metadata, shows(claim)
    reason: Conflict | Invalid
    for _ in range(_TRIES):
        try:
            return await write(claim)
        except (Conflict, Invalid) as error:
            reason = error
        before, claim = claim, await _now(hub, claim, again)
        if claim.metadata.resource_version == before.metadata.resource_version:
            raise Problem(
                f"the hub refuses the change of claim {meta.key}: {reason.message}"
            ) from reason
        if claim.metadata.uid != meta.uid or shows(claim) != shown:
            break
    raise _changed(claim, again, reason) from reason


def guarded_patch(claim: GpuClaim, op: str, path: str, value: Any) -> JsonPatch:
    """Return a patch of one field of just this claim in just this version."""
    meta = claim.metadata
    return [
        {"op": "test", "path": "/metadata/uid", "value": meta.own_uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version},
        {"op": op, "path": path, "value": value},
    ]


async def _now(hub: Cluster, claim: GpuClaim, again: str) -> GpuClaim:
    meta = claim.metadata
    try:
        return GpuClaim.model_validate(await hub.get(CLAIMS.path(meta.namespace, meta.name)))
    except NotFound as error:
        raise _changed(claim, again, error) from error


def _changed(claim: GpuClaim, again: str, error: ApiError) -> Problem:
    return Problem(f"claim {claim.metadata.key} changed meanwhile; {again} ({error.message})")
