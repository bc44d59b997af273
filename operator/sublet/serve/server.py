"""The public listener: /healthz (the event loop lives), /readyz (the hub was read), /metrics.

The text of a scrape is made in a thread and kept for a moment, so that a scrape never holds up the event loop.
"""

import asyncio
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from sublet.clock import Clock
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.port import LedgerUnavailable
from sublet.serve.auth import MetricsGate
from sublet.serve.books import LedgerBooks
from sublet.serve.metrics import Snapshot, Timings
from sublet.serve.ports import Observed

_KEEP_SECONDS: Final = 1.0


class Public:
    """Answers probes and scrapes."""

    def __init__(
        self,
        observed: Observed,
        books: LedgerBooks,
        timings: Timings,
        clock: Clock,
        *,
        gate: MetricsGate | None,
        per_claim: bool,
    ) -> None:
        self._observed = observed
        self._books = books
        self._timings = timings
        self._clock = clock
        self._gate = gate
        self._per_claim = per_claim
        self._text = b""
        self._made_at = float("-inf")
        self._making = asyncio.Lock()

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application()
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        if self._observed.ready:
            return web.Response(text="ok\n")
        return web.Response(text="the hub hasn't been read yet\n", status=503)

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._gate is not None:
            status = await self._gate.status(request.headers.get("Authorization", ""))
            if status != web.HTTPOk.status_code:
                return web.Response(text="not for you\n", status=status)
        async with self._making:
            if self._clock.monotonic() - self._made_at > _KEEP_SECONDS:
                self._text = await self._make()
                self._made_at = self._clock.monotonic()
        return web.Response(body=self._text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _make(self) -> bytes:
        now = self._clock.now_ms()
        try:
            totals = await self._books.totals(now)
            prices = await self._books.prices(key[4] for key in totals.gpu_milliseconds)
            snapshot = Snapshot(self._observed, now, totals, prices, self._per_claim)
        except (LedgerUnavailable, BrokenLedger) as error:
            structlog.get_logger().error("ledger not shown", error=str(error))
            snapshot = Snapshot(self._observed, now, None, per_claim=self._per_claim)
        registry = CollectorRegistry()
        registry.register(snapshot)
        return await asyncio.to_thread(
            lambda: generate_latest(registry) + generate_latest(self._timings.registry)
        )


async def listen(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve an application; return its runner and the port, which is a free one if 0 was asked for."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    addresses = runner.addresses
    return runner, int(addresses[0][1])
