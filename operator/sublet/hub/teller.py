"""Tells claims what the book says of them and the binder has nothing to do for: refusals, shortages, notices.

Each write is a compare-and-set, only on change; what outran one is read, and the next pass tells that. Read by tenants.
"""

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final, TypeGuard

from sublet.api import bound_status, claim_status
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.pending import Pending, coarse
from sublet.api.reading import goes_on
from sublet.api.times import Millis
from sublet.binder.claims import ClaimWriter, Outrun
from sublet.binder.ports import Events
from sublet.book.coarse import Detail, coarsened
from sublet.book.decisions import Dearer, Degrade, Fail, Notice, Refuse, Silence, Warn
from sublet.book.silence import UNREACHABLE
from sublet.clock import Clock
from sublet.hub.state import HubState
from sublet.hub.unread import caught_up, is_caught_up
from sublet.kube.errors import KubeError
from sublet.logs import log_about

Saying = Refuse | Warn | Notice | Degrade | Silence | Fail | Dearer
_WRITES_AT_ONCE: Final = 8


class ClaimTeller:
    """Writes statuses of claims that nothing else is under way for."""

    def __init__(
        self,
        state: HubState,
        claims: ClaimWriter,
        events: Events,
        clock: Clock,
        detail: Detail = Detail.FULL,
    ) -> None:
        self._state = state
        self._claims = claims
        self._events = events
        self._clock = clock
        self._detail = detail
        self._slots = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def tell(self, sayings: Iterable[tuple[GpuClaim, Saying]]) -> bool:
        """Write what claims are told, where it isn't written yet; return whether all of it is."""
        now = self._clock.now_ms()
        return all(
            await asyncio.gather(*(self._say(claim, saying, now) for claim, saying in sayings))
        )

    async def acknowledge(self, claims: Collection[GpuClaim]) -> bool:
        """Write that the status describes the spec as it is now, where a change of spec called for nothing.

        A spec that can't be read is never the one that it describes: that is told instead. Returns whether all is written.
        """
        for claim in claims:
            if claim.metadata.fault:
                self._events.note(claim, EventReason.SPEC_UNREAD, goes_on(claim.metadata.fault))
        return all(
            await asyncio.gather(
                *(
                    self._write(claim, caught_up(claim))
                    for claim in claims
                    if not is_caught_up(claim)
                )
            )
        )

    async def _say(self, claim: GpuClaim, saying: Saying, now_ms: Millis) -> bool:
        if isinstance(saying, Refuse) and self._detail is Detail.COARSE:
            saying = coarsened(claim, saying)
        status = _status(claim, saying, now_ms)
        if status == claim.status:
            return True
        if not await self._write(claim, status):
            return False
        if _is_news(saying):
            # after the condition, which is what makes sure that it is said only once
            self._events.note(claim, EventReason(saying.reason), saying.message)
        return True

    async def _write(self, claim: GpuClaim, status: ClaimStatus) -> bool:
        """Write a claim's status; return whether it was written."""
        async with self._slots:
            try:
                self._state.claims.put(await self._claims.write_status(claim, status))
            except Outrun:
                await self._read_anew(claim)
                return False
            except KubeError as error:
                log_about(claim=claim).warning("claim not told", error=str(error))
                return False
        return True

    async def _read_anew(self, claim: GpuClaim) -> None:
        """Read what outran a write: if its watch lost that, no pass would ever see the newer claim."""
        with suppress(KubeError):  # it is tried again
            if (live := await self._claims.get(claim)) is not None:
                self._state.claims.put(live)
            else:
                self._state.doubted.set()


def _is_news(saying: Saying) -> TypeGuard[Notice | Degrade | Silence | Dearer]:
    """Say whether a claim gets an Event too: of a cluster that is silent only once that lasts."""
    if isinstance(saying, Silence) and saying.reason == UNREACHABLE:
        return False
    return isinstance(saying, Notice | Degrade | Silence | Dearer) and bool(saying.message)


def _status(claim: GpuClaim, saying: Saying, now_ms: Millis) -> ClaimStatus:
    if isinstance(saying, Warn):
        return claim_status.late(claim, saying.message, now_ms)
    if isinstance(saying, Fail):
        return claim.status.model_copy(update={"downtimes": saying.downtimes})
    if not isinstance(saying, Refuse):
        return _bound_status(claim, saying, now_ms)
    pending = Pending(
        reason=saying.reason,
        message=saying.message[:1024],
        position=coarse(saying.position) if saying.position else None,
        estimated_start_time=saying.estimated_ms,
    )
    return claim_status.waiting(claim, pending, now_ms, saying.offers)


def _bound_status(
    claim: GpuClaim, saying: Notice | Degrade | Silence | Dearer, now_ms: Millis
) -> ClaimStatus:
    if isinstance(saying, Silence):
        return bound_status.reached(claim, saying.reason, saying.message, saying.outages, now_ms)
    if isinstance(saying, Degrade):
        return bound_status.degraded(claim, saying.reason, saying.message, now_ms)
    if isinstance(saying, Dearer):
        return bound_status.priced(claim, saying.reason, saying.message, now_ms)
    return bound_status.expiring(claim, saying.reason, saying.message, now_ms)
