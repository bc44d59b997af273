"""Lets go of restored claims that are deleted before anybody has adopted them. Driven by the loop after every pass.

Nothing is done for a held claim, so nobody would take its finalizer off. One that by its status holds nothing and has no
lines for the ledger may go. One that does waits for its adoption, which goes on with the deletion and stops the meter at
it; if it can't be adopted, a person's forceRelease lets it go. Nothing in a leased cluster is touched: what nodes hold
for it stays held, and is an orphan of which the ledger tells.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.origin import awaits_adoption, has_bare_status
from sublet.api.times import Millis
from sublet.binder.claims import ClaimWriter, Outrun
from sublet.book.holdings import holds
from sublet.clock import Clock, in_ms
from sublet.hub.meter import needs_meter
from sublet.kube.errors import KubeError
from sublet.logs import log_about

_RETRY_SECONDS: Final = 10.0


def may_go(claim: GpuClaim) -> bool:
    """Say whether a claim waits to be adopted, is deleted, and takes nothing with it that is known."""
    meta, word = claim.metadata, claim.spec.force_release
    if meta.deletion_timestamp is None or RELEASE_FINALIZER not in meta.finalizers:
        return False
    if not awaits_adoption(meta, claim.status.origin, is_new=has_bare_status(claim)):
        return False
    is_forced = word is not None and word.claim_uid == meta.own_uid
    return is_forced or not (holds(claim) or needs_meter(claim))


class Held:
    """The deletions of held claims."""

    def __init__(
        self,
        claims: ClaimWriter,
        held: Callable[[], Iterable[GpuClaim]],
        clock: Clock,
        changed: Callable[[], None],
        doubted: Callable[[], None],
    ) -> None:
        """`held` returns the claims that wait to be adopted, as the API server shows them.

        `doubted` is told of one that is gone: no watch may ever tell it, and it is asked about until it is dropped.
        """
        self._claims = claims
        self._held = held
        self._clock = clock
        self._changed = changed
        self._doubted = doubted
        self._task: asyncio.Task[None] | None = None
        self._again_at: float | None = None  # what failed is not tried before (monotonic seconds)

    @property
    def due_ms(self) -> Millis | None:
        """Return when to be told again at the latest; None if nothing waits."""
        return in_ms(self._again_at, self._clock)

    def tend(self) -> None:
        """Begin to let go of what may go, unless that is under way or failed just now."""
        if self._task is not None and not self._task.done():
            return
        if self._again_at is not None and self._clock.monotonic() < self._again_at:
            return
        self._again_at = None
        if going := [claim for claim in self._held() if may_go(claim)]:
            self._task = asyncio.create_task(self._let_go(going), name="held claims")

    async def close(self) -> None:
        """Stop; what is left is begun again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _let_go(self, claims: list[GpuClaim]) -> None:
        for claim in claims:
            log = log_about(claim=claim)
            try:
                live = await self._claims.get(claim)
                if live is None:
                    self._doubted()
                elif may_go(live):
                    await self._claims.remove_finalizer(live)
                    log.info("held claim deleted")
            except (Outrun, KubeError) as error:
                log.warning("held claim not deleted", error=str(error))
                self._again_at = self._clock.monotonic() + _RETRY_SECONDS
        if self._again_at is not None:
            self._changed()  # what went well is told by the watch
