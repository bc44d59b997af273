"""The way between one operator and one API server, and the seam by which `ApiServer` goes over it.

A request is a message of its own: it reaches the server, and changes it, whether or not its sender is still there; the
answer may be lost on the way back. So "timed out" never says whether a write was applied, and one that its sender gave
up long ago may still be applied (FoundationDB, "commit unknown result").
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

from sublet.kube.errors import Unreachable, error_from_status
from sublet.kube.session import ApiServer
from tests.simulation.answers import Refused, Request
from tests.simulation.loop import ACTOR, SimLoop
from tests.simulation.server import Server
from tests.simulation.watches import Watch

REQUEST_SECONDS: Final = 30.0
"""As in `sublet.kube.session.Limits`."""
CALM_SECONDS: Final = 0.004
RATES: Final[Mapping[str, float]] = {
    "lost": 0.01,
    "no reply": 0.02,
    "500": 0.01,
    "500 applied": 0.005,
    "429": 0.005,
    "409": 0.02,
    "twice": 0.02,
    "double": 0.05,
    "replay": 0.2,
    "slow": 0.03,
}
"""kind of fault -> how often it strikes where it is on"""


class Link:
    """One operator's way to one server."""

    def __init__(
        self, name: str, server: Server, loop: SimLoop, rng: random.Random, faults: Counter[str]
    ) -> None:
        self.name, self.server, self.loop = name, server, loop
        self._rng, self._faults = rng, faults
        self.kinds: frozenset[str] = frozenset()
        """The kinds of fault that may strike now."""
        self.cut = False
        """Nothing goes through."""
        self.is_frank = False
        """Watches that stall are cut as soon as it heals."""
        self.watches: list[Watch] = []

    def wants(self, kind: str) -> bool:
        """Say whether a fault strikes now, and count it."""
        struck = kind in self.kinds and self._rng.random() < RATES[kind]
        if struck:
            self._faults[kind] += 1
        return struck

    def clog(self) -> None:
        """Cut it: half of the watches notice at once, the others are silent."""
        self.cut = True
        for watch in list(self.watches):
            if self._rng.random() < 0.5:
                watch.reset()
            watch.stalled = True

    def heal(self) -> None:
        """Let messages through again; watches that stalled stay so, unless the link is frank."""
        self.cut = False
        for watch in list(self.watches) if self.is_frank else ():
            watch.stalled = False
            watch.reset()

    def delay(self) -> float:
        """Return how long a message takes."""
        if self.wants("slow"):
            return self._rng.uniform(0.5, 20.0)
        return CALM_SECONDS * self._rng.uniform(0.2, 3.0)

    def carry(self, watch: Watch, line: bytes) -> None:
        """Bring a line to a watch's client, never before the one before it."""
        watch.last_at = max(watch.last_at + 1e-5, self.loop.time() + self.delay())
        self.loop.later(watch.last_at - self.loop.time(), watch.arrive, line)

    async def send(self, request: Request, token: str) -> tuple[bytes, str]:
        """Bring a request to the server, its answer back and the Date of that; Unreachable if there is none."""
        if self.cut and self._rng.random() < 0.5:
            await asyncio.sleep(CALM_SECONDS)
            raise Unreachable(f"{request.method} {request.path}: connection refused")
        call = _Call(request, token, self.loop.create_future(), self.loop.time() + REQUEST_SECONDS)
        if self.wants("lost"):
            self._lose(call)
        else:
            delay = self.delay()
            if request.is_write and self.wants("twice"):
                # a proxy that heard nothing in time asks again; its client gets the second answer
                self.loop.later(delay, self._handled, call)
                delay += self.delay()
            self.loop.later(delay, self._reach, call)
        return await call.answer, call.date

    def _lose(self, call: "_Call") -> None:
        """Let a message get lost: its sender waits until its time is over."""
        request = call.request
        late = Unreachable(f"{request.method} {request.path}: timed out")
        self.loop.later(max(0.0, call.deadline - self.loop.time()), _settle, call.answer, late)

    def _reach(self, call: "_Call") -> None:
        """Let the server act, if the request reaches it."""
        if self.cut:
            self._lose(call)
            return
        result = self._refusal(call.request) or self._handled(call)
        if call.request.is_write and self.wants("500 applied"):
            text = {"reason": "InternalError", "message": "etcdserver: request timed out"}
            result = error_from_status(500, text)
        if call.request.is_write and self.wants("no reply"):
            if self._rng.random() < 0.5:
                self._lose(call)
                return
            result = Unreachable(f"{call.request.method} {call.request.path}: reset")
        delay = self.delay()
        if self.loop.time() + delay > call.deadline:
            self._lose(call)
        else:
            self.loop.later(delay, self._arrive, call, result)

    def _refusal(self, request: Request) -> Exception | None:
        """Return what a server says that is in trouble and does nothing."""
        for status in ("500", "429"):
            if self.wants(status):
                text = {"reason": "Fault", "message": "the server is in trouble"}
                return error_from_status(int(status), text, "1")
        if request.method == "PATCH" and "json-patch" in request.content_type and self.wants("409"):
            # the server gives up after five conflicts with other writers (apiserver, handlers/patch.go)
            text = {"reason": "Conflict", "message": "the object has been modified"}
            return error_from_status(409, text)
        return None

    def _handled(self, call: "_Call") -> bytes | Exception:
        call.date = self.server.date
        try:
            return self.server.handle(call.request, call.token)
        except Refused as refused:
            return error_from_status(refused.status, refused.body)

    def _arrive(self, call: "_Call", result: bytes | Exception) -> None:
        if self.cut:
            self._lose(call)
        else:
            _settle(call.answer, result)


@dataclass(slots=True)
class _Call:
    """One request on its way."""

    request: Request
    token: str
    answer: asyncio.Future[bytes]
    deadline: float
    """When its sender gives it up."""
    date: str = ""
    """What the answer says of the time."""


def _settle(answer: asyncio.Future[bytes], result: bytes | Exception) -> None:
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)


class Network:
    """All links; knows which actors are dead."""

    def __init__(self) -> None:
        self.links: dict[tuple[str, str], Link] = {}  # (operator, server's URL) -> link
        self.dead: set[str] = set()
        self.requests = 0
        self.trace: list[str] = []

    def link(self, api: ApiServer) -> Link:
        """Return the link of whoever asks; what the dead still try never leaves them."""
        actor = ACTOR.get()
        if actor in self.dead:
            raise asyncio.CancelledError
        if api._closed or (api._shared_with is not None and api._shared_with._closed):
            raise Unreachable("the connection was closed")
        return self.links[actor.split("#")[0], api.endpoint.server]

    async def request(self, api: ApiServer, method: str, path: str, **options: Any) -> bytes:
        """Take the place of `ApiServer.request`."""
        link = self.link(api)
        self.requests += 1
        request = Request(
            method,
            path,
            options.get("params") or {},
            options.get("content_type", "application/json"),
            options.get("body"),
            ACTOR.get(),
        )
        token = api.endpoint.token() if api.endpoint.token is not None else ""
        try:
            answer, api.date = await link.send(request, token)
        except Exception as error:
            if request.is_write:
                self._note(link, request, f"{type(error).__name__}: {error}"[:160])
            raise
        if request.is_write:
            self._note(link, request, "ok")
        return answer

    def _note(self, link: Link, request: Request, end: str) -> None:
        if "/leases/" not in request.path and "/events" not in request.path:
            at = f"{link.loop.time():9.3f}"
            self.trace.append(
                f"{at} {request.actor} {link.server.name} {request.method} {request.path} -> {end}"
            )

    @asynccontextmanager
    async def stream(
        self, api: ApiServer, method: str, path: str, **options: Any
    ) -> AsyncIterator[Any]:
        """Take the place of `ApiServer.stream`, of which only watches come here."""
        link = self.link(api)
        await asyncio.sleep(link.delay())
        if link.cut or link.wants("lost"):
            raise ConnectionRefusedError("no way")
        watch = Watch(link.server, link, path, options["params"], options.get("silence_seconds"))
        try:
            yield watch.response
        finally:
            watch.close()

    @contextmanager
    def wired(self) -> Iterator[None]:
        """Let every `ApiServer` go over this network."""
        network = self

        async def request(api: ApiServer, method: str, path: str, **options: Any) -> bytes:
            return await network.request(api, method, path, **options)

        def stream(api: ApiServer, method: str, path: str, **options: Any) -> Any:
            return network.stream(api, method, path, **options)

        with (
            mock.patch.object(ApiServer, "request", request),
            mock.patch.object(ApiServer, "stream", stream),
        ):
            yield
