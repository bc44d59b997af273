"""Brings every line that claims' statuses call for, and every mark, into the ledger, apart from planning.

A store that is away or slow holds up no plan and no release: lines wait on the claims that record their instants, and
the catch-up afterwards is exact. Told after each pass; one task at a time.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Final

import structlog

from sublet.api.gpuclaim import GpuClaim
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.clock import Clock, in_ms
from sublet.hub.marks import Marks
from sublet.hub.meter import ClaimMeter, needs_meter
from sublet.ledger.port import Disagreement, LedgerConflict, LedgerUnavailable
from sublet.logs import log_about

AWAY_RETRY_MS: Final = 2_000
CONFLICT_RETRY_MS: Final = 60_000


class Bookkeeper:
    """Settles claims in the background."""

    def __init__(
        self,
        meter: ClaimMeter,
        clock: Clock,
        changed: Callable[[], None],
        marks: Marks | None = None,
        also: Callable[[Iterable[GpuClaim]], None] = lambda _: None,
    ) -> None:
        """`also` is told of the same claims."""
        self._meter = meter
        self._marks = marks
        self._clock = clock
        self._changed = changed
        self._also = also
        self._task: asyncio.Task[None] | None = None
        self._fault = ""
        self._conflicts: set[Disagreement] = set()  # that were logged
        self._again_at: float | None = None  # what waits is not tried before (monotonic seconds)

    @property
    def due_ms(self) -> Millis | None:
        """Return when to be told again at the latest, None if nothing waits."""
        return in_ms(self._again_at, self._clock)

    def tend(self, claims: Collection[GpuClaim]) -> None:
        """Begin to settle what isn't known to be in the ledger, unless that is under way or was tried just now."""
        self._also(claims)
        marks_wait = self._marks is not None and self._marks.look()
        if self._task is not None and not self._task.done():
            return
        if self._again_at is not None and self._clock.monotonic() < self._again_at:
            return
        self._again_at = None
        open_claims = [c for c in claims if needs_meter(c) and not self._meter.is_settled(c)]
        if open_claims or marks_wait:
            self._task = asyncio.create_task(self._settle(open_claims), name="bookkeeper")

    async def close(self) -> None:
        """Let what is under way end."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _settle(self, claims: list[GpuClaim]) -> None:
        works = [self._meter.settle(c) for c in claims]
        if self._marks is not None:
            works.append(self._marks.write())
        results = await asyncio.gather(*works, return_exceptions=True)
        faults = [r for r in results if isinstance(r, Exception)]
        for fault in faults:
            if not isinstance(fault, LedgerUnavailable | LedgerConflict):
                structlog.get_logger().error("lines not written", exc_info=fault)
        self._say_conflicts(faults)
        self._say(str(faults[0]) if faults else "", waiting=len(faults))
        if faults:
            conflict = any(isinstance(f, LedgerConflict) for f in faults)
            wait = CONFLICT_RETRY_MS if conflict else AWAY_RETRY_MS
            self._again_at = self._clock.monotonic() + wait / MS_PER_SECOND
        self._changed()

    def _say_conflicts(self, faults: Iterable[Exception]) -> None:
        """Log once what the two records say that disagree: somebody has to find out which is right."""
        for said in (f.said for f in faults if isinstance(f, LedgerConflict)):
            if said is not None and said not in self._conflicts:
                self._conflicts.add(said)
                log_about(claim_uid=said.claim_uid).error(
                    "ledger conflict", line=said.line, there=said.there, wanted=said.wanted
                )

    def _say(self, fault: str, *, waiting: int) -> None:
        """Log a fault when it begins and when it is over, not at each try."""
        if fault and fault != self._fault:
            structlog.get_logger().error("ledger", error=fault, waiting=waiting)
        if self._fault and not fault:
            structlog.get_logger().info("the ledger is up to date again")
        self._fault = fault
