"""A sink of CloudEvents on loopback that takes, fails or refuses as it is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class RealSink:
    """What was sent to it, and what it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.events: list[dict[str, Any]] = []
        """What it took, in order."""
        self.asked = 0
        self.headers: list[dict[str, str]] = []
        self.status = 204
        self.answer_headers: dict[str, str] = {}
        self.takes = 1_000_000
        """How many requests it takes before it answers with `status_then`."""
        self.status_then = 500

    @property
    def ids(self) -> list[str]:
        """Return the ids of what it took."""
        return [e["id"] for e in self.events]

    async def take(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.asked += 1
        self.headers.append(dict(request.headers))
        body = await request.json()
        status = self.status if self.takes > 0 else self.status_then
        self.takes -= 1
        if status < 300:
            self.events += body if isinstance(body, list) else [body]
        return web.Response(status=status, headers=self.answer_headers)


@asynccontextmanager
async def real_sink() -> AsyncIterator[RealSink]:
    """Serve a sink for the length of the block."""
    sink = RealSink()
    app = web.Application()
    app.router.add_post("/events", sink.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    try:
        yield sink
    finally:
        await runner.cleanup()
