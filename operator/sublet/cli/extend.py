"""`sublet extend`: ask for a later end. What is granted is said by the operator: what follows may be sold already."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import CLAIMS
from sublet.api.relocation import ReleaseCause
from sublet.api.times import MS_PER_SECOND, Millis, format_instant, parse_instant
from sublet.book.expiry import asked_end_ms
from sublet.book.holdings import held_by
from sublet.cli.connect import Cluster
from sublet.cli.durations import duration, parse_duration
from sublet.cli.following import follow, is_seen
from sublet.cli.guarded import guarded_patch, write_as_shown
from sublet.cli.objects import with_claim
from sublet.cli.problems import Problem

_OWN: Final = (None, ReleaseCause.COMPLETED)
"""Causes of an end that is the claim's own."""


@dataclass(frozen=True, slots=True)
class Later:
    """How much later: by so long, or until an instant. One of the two."""

    by: str | None
    until: str | None

    def seconds(self, claim: GpuClaim) -> int:
        """Return the claim's new duration; Problem if it has no end of its own, or the new one isn't later."""
        had = claim.spec.schedule.duration_seconds
        if had is None:
            raise Problem(f"claim {claim.metadata.key} has no duration: it has no end to extend")
        if (self.by is None) == (self.until is None):
            raise Problem(
                "say by how long, or until when: --by 4h, or --until 2026-11-22T10:00:00Z"
            )
        more = parse_duration(self.by, option="--by") if self.by else self._until(claim, self.until)
        return had + more

    def _until(self, claim: GpuClaim, text: str | None) -> int:
        try:
            wanted = parse_instant(text or "")
        except ValueError as error:
            raise Problem(f"--until: {error}; give instants as 2026-11-22T10:00:00Z") from None
        end = own_end(claim)
        if end is None:
            raise Problem(
                f"claim {claim.metadata.key} isn't reserved up to its own end, so --until can't be counted from it; give --by"
            )
        seconds = -((end - wanted) // MS_PER_SECOND)
        if seconds <= 0:
            raise Problem(
                f"claim {claim.metadata.key} has its GPUs until {format_instant(end)} already; to end earlier see sublet release"
            )
        return seconds


def own_end(claim: GpuClaim) -> Millis | None:
    """Return when the claim ends by its own duration, as far as it is known: from its start, or as promised."""
    spec, held = claim.spec.schedule, held_by(claim)
    if spec.start_time is not None and spec.duration_seconds is not None:
        return Millis(spec.start_time + spec.duration_seconds * MS_PER_SECOND)
    if held is not None and held.until_cause in _OWN:
        return held.until_time
    return None


def command(
    name: str, place: tuple[str | None, str | None], later: Later, wait_seconds: int
) -> None:
    """Raise the claim's duration, and say what the operator makes of it."""
    namespace, context = place

    async def work(hub: Cluster, raw: dict[str, Any]) -> None:
        claim = GpuClaim.model_validate(raw)
        seconds = later.seconds(claim)
        written = await write_as_shown(
            hub, claim, later.seconds, partial(_write, hub, seconds), "look at it and ask again"
        )
        print(f"{claim.metadata.key} asks for {duration(seconds)} in all")
        seen, _ = await follow(hub, written, is_seen, wait_seconds)
        print(_granted(claim, seen, seconds))

    with_claim(work, name, namespace, context)


async def _write(hub: Cluster, seconds: int, claim: GpuClaim) -> GpuClaim:
    meta = claim.metadata
    patch = guarded_patch(claim, "replace", "/spec/schedule/durationSeconds", seconds)
    return GpuClaim.model_validate(await hub.patch(CLAIMS.path(meta.namespace, meta.name), patch))


def _granted(before: GpuClaim, seen: GpuClaim | None, seconds: int) -> str:
    """Say what became of it: granted, granted in part, not yet answered, or gone."""
    if seen is None:
        raise Problem(f"claim {before.metadata.key} was deleted meanwhile")
    held, meta = held_by(seen), seen.metadata
    see = f"sublet explain {meta.name} -n {meta.namespace} says how it stands"
    if not is_seen(seen):
        return f"the operator hasn't answered yet; {see}"
    if held is None or held.until_time is None:
        return f"it isn't reserved yet and will be for {duration(seconds)}; {see}"
    until = format_instant(held.until_time)
    if held.until_time >= asked_end_ms(seen, held):
        return f"granted: it has its GPUs until {until}"
    # its own duration would have ended it later: that isn't what holds it back
    because = "" if held.until_cause in _OWN else f" ({held.until_cause})"
    return f"it has its GPUs until {until} only{because}; {see}"
