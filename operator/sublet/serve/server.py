"""The public listener: /healthz (the event loop lives), /readyz (the hub was read and followed, the ledger opened, once), /metrics.

A ledger that goes away later makes no pod unready: releases go on, and alerts need the scrape. One that was never there is a
release that is set up wrongly, and a roll-out must not go on to the next pod.

The text of a scrape is made in a thread and kept for a moment, so that a scrape never holds up the event loop. A ledger that
can't be read, or not within a moment, is left out of it: all else is told all the same. Before the hub is read nothing is told
of leases and claims: read in part, they would be gauges that say less than there is.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import (
    CONTENT_TYPE_LATEST as OPENMETRICS,
    generate_latest as generate_openmetrics,
)

from sublet.api.times import Millis
from sublet.clock import Clock
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.port import LedgerUnavailable
from sublet.serve.auth import MetricsGate
from sublet.serve.books import LedgerBooks
from sublet.serve.claims import ClaimSeries
from sublet.serve.coverage import coverage_families
from sublet.serve.horizon import horizon
from sublet.serve.look import Look
from sublet.serve.metrics import Snapshot
from sublet.serve.ports import Observed
from sublet.serve.timings import Timings
from sublet.settings import Settings

EVERY_SECONDS: Final = 30.0
"""How often the ledger's books are carried on, and what takes longer is worked out, without anybody asking."""
_KEEP_SECONDS: Final = 1.0
_LEDGER_SECONDS: Final = 2.0
"""How long a scrape waits for what is new in the ledger; Prometheus gives up after ten."""
_END: Final = b"# EOF\n"


class Public:
    """Answers probes and scrapes."""

    def __init__(
        self,
        observed: Observed,
        books: LedgerBooks,
        timings: Timings,
        clock: Clock,
        *,
        opened: Callable[[], bool],
        followed: Callable[[], bool],
        gate: MetricsGate | None,
        claims: ClaimSeries,
        opencost: bool = False,
    ) -> None:
        self._observed = observed
        self._books = books
        self._timings = timings
        self._clock = clock
        self._opened, self._followed = opened, followed
        self._gate = gate
        self._claims = claims
        self._opencost = opencost
        self._coverage: list[Metric] | None = None
        self._made: dict[bool, tuple[float, bytes]] = {}  # as OpenMetrics -> (when, text)
        self._making = asyncio.Lock()
        self._late: asyncio.Task[Look] | None = None

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application()
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def run(self) -> None:
        """Carry on for ever what scrapes show; a ledger that can't be read now is read later."""
        while True:
            try:
                await self.carry_on()
            except (LedgerUnavailable, BrokenLedger) as error:
                structlog.get_logger().warning("ledger not read", what="metrics", error=str(error))
            except Exception:  # noqa: BLE001  one bad object must not leave all gauges as they are for good
                structlog.get_logger().exception("metrics not carried on")
            await asyncio.sleep(EVERY_SECONDS)

    async def carry_on(self) -> None:
        """Work out anew what a scrape takes over; raises LedgerUnavailable and BrokenLedger."""
        if not self._observed.ready:
            return
        now = self._clock.now_ms()
        self._coverage = await asyncio.to_thread(self._cover, now)
        await self._books.carry_on(horizon(self._observed, now))

    def _cover(self, now_ms: Millis) -> list[Metric]:
        return list(coverage_families(self._observed, now_ms))

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        if not self._observed.ready:
            return web.Response(text="the hub hasn't been read yet\n", status=503)
        if not self._followed():
            return web.Response(text="the hub isn't followed yet: see the log\n", status=503)
        if not self._opened():
            return web.Response(text="the ledger hasn't been opened yet: see the log\n", status=503)
        return web.Response(text="ok\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._gate is not None:
            status = await self._gate.status(request.headers.get("Authorization", ""))
            if status != web.HTTPOk.status_code:
                return web.Response(text="not for you\n", status=status)
        openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        async with self._making:
            at, text = self._made.get(openmetrics, (float("-inf"), b""))
            if self._clock.monotonic() - at > _KEEP_SECONDS:
                text = await self._make(openmetrics=openmetrics)
                self._made[openmetrics] = (self._clock.monotonic(), text)
        kind = OPENMETRICS if openmetrics else CONTENT_TYPE_LATEST
        return web.Response(body=text, headers={"Content-Type": kind})

    async def _make(self, *, openmetrics: bool) -> bytes:
        now = self._clock.now_ms()
        look = None
        if self._observed.ready:
            look = await self._look(now)
            if self._coverage is None:
                self._coverage = await asyncio.to_thread(self._cover, now)
        shown = self._coverage or ()
        snapshot = Snapshot(self._observed, now, look, shown, opencost=self._opencost)
        return await asyncio.to_thread(self._write, snapshot, look, openmetrics=openmetrics)

    async def _look(self, now: Millis) -> Look | None:
        """Return the ledger as it is now, None if it can't be read, or not within a moment."""
        if self._late is None or await self._is_done(self._late):
            look = asyncio.create_task(self._books.look(horizon(self._observed, now)))
            if await self._is_done(look):
                try:
                    return look.result()
                except (LedgerUnavailable, BrokenLedger) as error:
                    structlog.get_logger().error("ledger not shown", error=str(error))
                except Exception:  # noqa: BLE001  alerts need all else
                    structlog.get_logger().exception("ledger not shown")
                return None
        structlog.get_logger().error("ledger not shown", error="it doesn't answer")
        return None

    async def _is_done(self, look: asyncio.Task[Look]) -> bool:
        """Wait a moment for a look; one that is late goes on in its thread, and what it says is old by then."""
        await asyncio.wait({look}, timeout=_LEDGER_SECONDS)
        self._late = None if look.done() else look
        return look.done()

    def _write(self, snapshot: Snapshot, look: Look | None, *, openmetrics: bool) -> bytes:
        registry = CollectorRegistry()
        registry.register(snapshot)
        write = generate_openmetrics if openmetrics else generate_latest
        parts = [write(registry), write(self._timings.registry)]
        if self._observed.ready:
            now = snapshot.now_ms
            parts.append(self._claims.write(self._observed, look, now, openmetrics=openmetrics))
        text = b"".join(part.removesuffix(_END) for part in parts)
        return text + _END if openmetrics else text


async def listen(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve an application; return its runner and the port, which is a free one if 0 was asked for."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    addresses = runner.addresses
    return runner, int(addresses[0][1])


async def listen_as(
    settings: Settings, *, public: web.Application, admin: web.Application
) -> list[web.AppRunner]:
    """Serve both applications where the settings say, the admin endpoint on loopback alone; return their runners.

    Both or none: what was left open would be in the way of the next try.
    """
    runners: list[web.AppRunner] = []
    for name, app, host, port in (
        ("public", public, settings.listen_host, settings.listen_port),
        ("admin", admin, "127.0.0.1", settings.admin_port),
    ):
        try:
            runner, port_in_use = await listen(app, host, port)
        except OSError:
            for other in runners:
                await other.cleanup()
            raise
        runners.append(runner)
        structlog.get_logger().info("listening", listener=name, host=host, port=port_in_use)
    return runners
