"""Objects as an API server stores and shows them: JSON with a status, for whoever reads them over HTTP."""

from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.relocation import ReleaseCause
from sublet.api.schema import ApiModel
from sublet.api.times import parse_instant
from sublet.book.decisions import Take
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import bound, held, inventory, nodes, released

END = "2026-11-22T14:00:00Z"
"""Four hours after NOW."""


def bound_claim(
    name: str = "train", *, until: str | None = END, seconds: int | None = 14_400, gpus: int = 8
) -> dict[str, Any]:
    """Return a claim that is bound since NOW to nodes of the lease west."""
    west = as_lease(lease("west"))
    places = list(inventory(west, nodes(west, gpus // 8)).nodes.values())
    spec = {"schedule": {"durationSeconds": seconds}} if seconds else {}
    body = claim(name, gpus=gpus, **spec)
    cause = ReleaseCause.COMPLETED if until else None
    until_ms = parse_instant(until) if until else None
    made = bound(held(as_claim(body), west, places, until_ms=until_ms, cause=cause))
    return {**body, "status": {**status_of(made), "observedGeneration": 1}}


def let_go_claim(
    name: str = "train", cause: ReleaseCause = ReleaseCause.SUSPENDED
) -> dict[str, Any]:
    """Return a claim that was bound as that one is, and holds nothing since its release."""
    body = bound_claim(name)
    gone = released(GpuClaim.model_validate(body), Take(ClaimUID(""), cause, NOW))
    return {**body, "status": {**status_of(gone), "observedGeneration": 1}}


def status_of(made: ApiModel) -> dict[str, Any]:
    """Return the status of an object as it is stored."""
    stored: dict[str, Any] = made.model_dump(mode="json", by_alias=True, exclude_none=True)[
        "status"
    ]
    return stored
