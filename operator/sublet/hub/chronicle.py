"""Writes audit records and notices beside the ledger, in the background. Nothing waits for it but what a claim leaves behind.

What a claim's lines stand for is written with them, by the meter, so that a deleted claim's finalizer waits for both. The rest (words
on objects that aren't billed, notices) is written here, from what objects record, until it is there.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID
from sublet.clock import Clock
from sublet.hub.audit import audit_of, lease_audit, tenant_audit
from sublet.hub.meter import needs_meter
from sublet.hub.news import claim_news, lease_news
from sublet.ledger.audit import AuditRecord
from sublet.ledger.port import LedgerUnavailable
from sublet.store.outbox import SqlOutbox
from sublet.store.sql import SqlLedger
from sublet.store.trail import SqlTrail

_RETRY_SECONDS: Final = 2.0
_MOST_KNOWN: Final = 200_000


class Chronicle:
    """Told of the claims that changed; reads leases and tenants itself."""

    def __init__(
        self,
        ledger: SqlLedger,
        clock: Clock,
        *,
        leases: Callable[[], Iterable[GpuLease]],
        tenants: Callable[[], Iterable[GpuTenant]],
    ) -> None:
        self._trail, self._box = SqlTrail(ledger), SqlOutbox(ledger)
        self._clock = clock
        self._leases, self._tenants = leases, tenants
        self._waiting: dict[ClaimUID, GpuClaim] = {}
        self._known: set[str] = set()
        """Ids that are known to be written."""
        self._told = asyncio.Event()

    def records(self, claim: GpuClaim) -> list[AuditRecord]:
        """Return what the meter writes together with a claim's lines."""
        return audit_of(claim, self._clock.now_ms())

    def tend(self, claims: Iterable[GpuClaim]) -> None:
        """Take note of claims that changed."""
        self._waiting |= {ClaimUID(c.metadata.uid): c for c in claims}
        self._told.set()

    async def run(self) -> None:
        """Write what is new, for ever; a store that is away is tried again, and the bookkeeper says it."""
        while True:
            await self._told.wait()
            self._told.clear()
            claims, self._waiting = self._waiting, {}
            try:
                await self.write(claims.values())
            except LedgerUnavailable:
                self._again(claims)
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:  # noqa: BLE001  one bad object must not end the trail
                structlog.get_logger().exception("audit trail not written")

    async def write(self, claims: Iterable[GpuClaim]) -> None:
        """Write what these claims, and all leases and tenants, call for."""
        some, now_ms = list(claims), self._clock.now_ms()
        leases, tenants = list(self._leases()), list(self._tenants())
        records = [r for c in some if not needs_meter(c) for r in audit_of(c, now_ms)]
        records += [r for x in leases for r in lease_audit(x, now_ms)]
        records += [r for t in tenants for r in tenant_audit(t)]
        news = [n for c in some for n in claim_news(c)]
        news += [n for x in leases for n in lease_news(x)]
        await self._trail.record(self._new(records))
        await self._box.notify(self._new(news))
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known |= {r.id for r in records} | {n.id for n in news}

    def _new(self, found: list[Any]) -> list[Any]:
        return [x for x in found if x.id not in self._known]

    def _again(self, claims: dict[ClaimUID, GpuClaim]) -> None:
        self._waiting = {**claims, **self._waiting}
        self._told.set()
