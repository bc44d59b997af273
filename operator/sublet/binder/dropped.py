"""Fields of claims' status that the hub's CRDs don't know: the API server drops them of each write, and says nothing.

So it is where CRDs are applied by other means than the chart, and in the middle of a rollback. The answer to a write
shows it. Looked at are the status and the parts of it that a decision rests on: a comparison of names, as a
reservation's write is what the hub does most.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sublet.api.gpuclaim import GpuClaim
from sublet.clock import Clock
from sublet.logs import log_about

_PARTS: Final = ("allocation", "move", "access")
_COUNTED_SECONDS: Final = 3_600
Field = tuple[str, str]
"""(part of the status, or nothing for its own, name)"""


class FieldDropped(Exception):
    """The hub doesn't keep a field that a step rests on; said on the claim, and tried again later."""

    def __init__(self, field: str) -> None:
        super().__init__(
            f"the hub's CRDs are older than the operator and drop status.{field}: "
            "the platform team must apply the operator's CRDs"
        )


class DroppedFields:
    """What the hub drops now; `count` is told how many fields as that changes.

    A field counts until an answer shows it, or for an hour after it was dropped last: newer CRDs may have been applied since, and
    some fields are written seldom.
    """

    def __init__(self, count: Callable[[int], None], clock: Clock) -> None:
        self._count = count
        self._clock = clock
        self._dropped: dict[Field, float] = {}
        """When each was dropped last."""

    def compare(self, claim: GpuClaim, sent: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
        """Compare a status that was sent with the answer; a field is logged once for as long as it counts."""
        gone = _gone(sent, shown)
        if not gone and not self._dropped:
            return
        for part, name in sorted(gone - self._dropped.keys()):
            log_about(claim=claim).warning(
                "the hub's CRDs are older than this operator and drop a field: apply the operator's CRDs",
                error=f"{'.'.join(filter(None, ('status', part, name)))} isn't kept",
            )
        now, before = self._clock.monotonic(), self._dropped.keys()
        counted = {
            (part, name): at
            for (part, name), at in self._dropped.items()
            if name not in _part(shown, part) and now - at < _COUNTED_SECONDS
        }
        self._dropped = counted | dict.fromkeys(gone, now)
        if self._dropped.keys() != before:
            self._count(len(self._dropped))


def _gone(sent: Mapping[str, Any], shown: Mapping[str, Any]) -> set[Field]:
    gone = {("", name) for name in sent.keys() - shown.keys()}
    for part in _PARTS:
        if (there := _part(shown, part)) and (missing := _part(sent, part).keys() - there.keys()):
            gone |= {(part, name) for name in missing}
    return gone


def _part(status: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Return a part of a status, empty if it isn't there; without a name all of it."""
    return status if not part else status.get(part) or {}
