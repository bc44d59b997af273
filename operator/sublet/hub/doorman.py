"""Sees now and then that bound claims' kubeconfig Secrets are still there; one that isn't is written again at once.

The operator may not read Secrets, so it tries, dry, to make each one again: a conflict says that it is there. What is
missing goes into the claim's status, and the binder mints new tokens, writes the Secret and revokes the old tokens.
Asks only while this replica leads.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from sublet.api import access_status
from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.binder.access import is_secret_there
from sublet.binder.claims import ClaimWriter, Outrun
from sublet.clock import Clock
from sublet.hub.state import HubState
from sublet.kube.errors import KubeError
from sublet.kube.session import ApiServer

_AT_ONCE: Final = 4


class Doorman:
    """Looks for Secrets that somebody deleted."""

    def __init__(
        self,
        hub: ApiServer,
        state: HubState,
        claims: ClaimWriter,
        clock: Clock,
        leads: Callable[[], bool],
    ) -> None:
        self._hub = hub
        self._state = state
        self._claims = claims
        self._clock = clock
        self._leads = leads
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run(self, every_seconds: float) -> None:
        """Look at all bound claims again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_seconds)
            if self._leads():
                await self.look()

    async def look(self) -> None:
        """Look at all bound claims once."""
        bound = [c for c in self._state.claims.all() if _has_secret(c)]
        await asyncio.gather(*(self._look_at(claim) for claim in bound))

    async def _look_at(self, claim: GpuClaim) -> None:
        async with self._slots:
            try:
                if await is_secret_there(self._hub, claim):
                    return
                live = await self._claims.get(claim)
                if live is None or not _has_secret(live):
                    return
                status = access_status.lost(live, self._clock.now_ms())
                self._state.claims.put(await self._claims.write_status(live, status))
            except (Outrun, KubeError) as error:  # it is looked at again
                log = structlog.get_logger()
                log.info("Secret not looked for", object=claim.metadata.key, error=str(error))
            else:
                structlog.get_logger().warning("Secret is gone", object=claim.metadata.key)


def _has_secret(claim: GpuClaim) -> bool:
    """Say whether a claim's Secret ought to be there and nobody has said yet that it isn't."""
    access = claim.status.access
    bound = is_true(claim.status.conditions, "Bound")
    return bound and access is not None and access.lost_time is None
