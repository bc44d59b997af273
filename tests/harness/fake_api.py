"""A small API server that answers as a test tells it: one watched collection, single objects, scripted trouble.

For what a real API server won't do on demand: lie, stall, cut, answer 401 or 410, send too much.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from sublet.api.times import Millis
from sublet.kube.session import Endpoint

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
CLOSE = object()


class FakeApi:
    """The server's content and script; `next_list` and `next_watch` answer before the content does."""

    def __init__(self, path: str = "/api/v1/nodes") -> None:
        self.path = path
        self.items: dict[str, dict[str, Any]] = {}  # object name -> object
        self.objects: dict[str, Any] = {}  # path -> object, or the Answer that gives it
        self.version = 1
        self.next_list: deque[Answer] = deque()
        self.next_watch: deque[Answer] = deque()
        self.lists = 0
        self.watches: list[dict[str, str]] = []  # queries of the watches so far
        self.requests: list[web.Request] = []
        self._streams: list[asyncio.Queue[Any]] = []
        self.url = ""

    @property
    def endpoint(self) -> Endpoint:
        """Return where it listens, without TLS."""
        return Endpoint(self.url, token=lambda: "token-1")

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        """Store an object and tell open watches; returns it with its new version."""
        name = body["metadata"]["name"]
        kind = "MODIFIED" if name in self.items else "ADDED"
        self.version += 1
        self.items[name] = _at(body, self.version)
        self.send(kind, self.items[name])
        return self.items[name]

    def remove(self, name: str, *, quietly: bool = False) -> None:
        """Remove an object; quietly means that no watch hears of it."""
        self.version += 1
        gone = _at(self.items.pop(name), self.version)
        if not quietly:
            self.send("DELETED", gone)

    def bookmark(self) -> None:
        """Tell open watches how far they are."""
        self.send("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def send(self, type_: str, obj: dict[str, Any]) -> None:
        """Send any event to open watches."""
        self.send_raw(json.dumps({"type": type_, "object": obj}).encode() + b"\n")

    def send_raw(self, line: object) -> None:
        """Send bytes, or the end, to open watches."""
        for stream in self._streams:
            stream.put_nowait(line)

    def close_watches(self) -> None:
        """End open watches as a server does."""
        self.send_raw(CLOSE)

    @property
    def open_watches(self) -> int:
        """Return how many watches are open."""
        return len(self._streams)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        self.requests.append(request)
        if request.path == self.path and request.method == "GET":
            if request.query.get("watch"):
                self.watches.append(dict(request.query))
                return await (self.next_watch.popleft() if self.next_watch else self._watch)(
                    request
                )
            self.lists += 1
            return await (self.next_list.popleft() if self.next_list else self._list)(request)
        found = self.objects.get(request.path)
        if callable(found):
            answered: web.StreamResponse = await found(request)
            return answered
        if found is None:
            return failure(404, "NotFound", f"{request.path} not found")
        return web.json_response(found)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        begin = int(request.query.get("continue", "0"))
        end = begin + int(request.query.get("limit", "500"))
        names = sorted(self.items)
        meta = {"resourceVersion": str(self.version)}
        if end < len(names):
            meta["continue"] = str(end)
        return web.json_response(
            {"metadata": meta, "items": [self.items[n] for n in names[begin:end]]}
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        stream: asyncio.Queue[Any] = asyncio.Queue()
        response = web.StreamResponse()
        await response.prepare(request)
        self._streams.append(stream)
        try:
            while (line := await stream.get()) is not CLOSE:
                await response.write(line)
        finally:
            self._streams.remove(stream)
        return response


@asynccontextmanager
async def fake_api(path: str = "/api/v1/nodes") -> AsyncIterator[FakeApi]:
    """Run a fake API server on loopback."""
    fake = FakeApi(path)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0)
    fake.url = str(server.make_url("/")).rstrip("/")
    try:
        yield fake
    finally:
        fake.close_watches()
        await server.close()


def failure(status: int, reason: str = "", message: str = "", **headers: str) -> web.StreamResponse:
    """Return an error as an API server words it."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    return web.json_response(body, status=status, headers=headers)


def answering(status: int, reason: str = "", message: str = "", **headers: str) -> Answer:
    """Return an answer that fails."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return failure(status, reason, message, **headers)

    return answer


def saying(body: bytes) -> Answer:
    """Return an answer of these bytes."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    return answer


def dripping(status: int) -> Answer:
    """Return an answer whose body comes byte by byte and never ends."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    return answer


async def silence(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("not reached")


class SteppedClock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.waits: list[float] = []
        self.set_back_seconds = 0.0
        """By how much the wall clock was set back since."""

    def now_ms(self) -> Millis:
        """Return the wall clock."""
        return Millis(int((self.seconds - self.set_back_seconds) * 1_000))

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Let that much of its time pass, and none of ours."""
        self.waits.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


async def eventually(what: str, look: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Wait until `look` gives something truthy; AssertionError with `what` after the deadline."""
    try:
        async with asyncio.timeout(seconds):
            while not look():  # noqa: ASYNC110  whatever is looked at, not only events
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None


def _at(body: dict[str, Any], version: int) -> dict[str, Any]:
    meta = {**body["metadata"], "resourceVersion": str(version)}
    return {**body, "metadata": meta}
