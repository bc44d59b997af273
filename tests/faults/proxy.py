"""A TLS-terminating proxy between the operators and one API server: passes on, notes, and makes the trouble that is asked for.

The API server's answer goes on only when the reader of the invariants has looked (`Trouble.on_commit`), and writes are
passed on one after the other, so that each state between two writes is looked at.
"""

import asyncio
import ssl
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from tests.faults.journal import Entry, Journal, decoded, target_of
from tests.faults.peers import Owners
from tests.faults.trouble import DELAY_SECONDS, RETRY_AFTER_SECONDS, Trouble, kill
from tests.faults.views import Stream, View

_NOT_PASSED: Final = {
    "host", "connection", "content-length", "transfer-encoding", "accept-encoding", "content-encoding",
}  # fmt: skip
_REASONS: Final = {
    401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 422: "Invalid",
    429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable",
}  # fmt: skip
_LOOK_SECONDS: Final = 0.2
_LINE_BYTES: Final = 4 * 1024 * 1024
_KEPT_ANSWERS: Final = {"resourcequotas", "pods", "gpuclaims"}
"""Whose answers the rules of order read."""


class Cut(Exception):
    """The connection was cut; nobody reads an answer."""


class Proxy:
    """One listener in front of one API server."""

    def __init__(
        self,
        cluster: str,
        upstream: str,
        ca: Path | None,
        *,
        journal: Journal,
        trouble: Trouble,
        pids: Callable[[], Collection[int]],
        writing: asyncio.Lock,
    ) -> None:
        """`ca` is the API server's, None if it speaks without TLS.

        `writing` is shared by all proxies of a set: one write at a time, whichever cluster it goes to.
        """
        self.cluster = cluster
        self.port = 0
        self._upstream = upstream
        self._tls = ssl.create_default_context(cafile=str(ca)) if ca is not None else True
        self._journal = journal
        self._trouble = trouble
        self._pids = pids
        self._owners = Owners()
        self._writing = writing
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self, certificates: Path) -> None:
        """Listen on loopback with the certificate in a folder."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=_LINE_BYTES,
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening and cut all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._noted(request)
        except ConnectionError:  # the operator was killed before it had said all
            raise
        except Exception as error:
            told = f"{request.method} {request.path}: {type(error).__name__}: {error}"
            self._journal.failures.append(told)
            raise

    async def _noted(self, request: web.Request) -> web.StreamResponse:
        target = target_of(request.method, request.path, request.content_type, request.query)
        body = await request.read()
        entry = self._journal.note(self.cluster, target, request.query, self._owner(request), body)
        try:
            return await self._answer(request, entry, body)
        except (Cut, aiohttp.ClientError, ConnectionError):
            entry.action = entry.action or "cut"
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _answer(self, request: web.Request, entry: Entry, body: bytes) -> web.StreamResponse:
        self._see_joined(entry)
        action = self._trouble.action_for(entry)
        if action == "kill-before":
            kill(entry.pid)
            raise Cut
        if action.isdecimal():
            return _refusal(entry, int(action))
        if action == "delay":
            await asyncio.sleep(DELAY_SECONDS)
        if action == "blackhole":
            await self._swallow(request)
        if action == "partition":
            self._trouble.partition_for_a_while(self.cluster)
            raise Cut
        if action == "overtaken" and self._trouble.overtake is not None:
            await self._trouble.overtake(entry)
        if entry.is_write and (gate := self._trouble.held.get(entry.pid)) is not None:
            await gate.wait()
        if entry.is_watch:
            return await self._watch(request, entry)
        response = await self._pass_on(request, entry, body)
        if action == "kill-after":
            kill(entry.pid)
        if action in ("kill-after", "unknown"):
            raise Cut
        self._see_joined(entry)
        return response

    async def _swallow(self, request: web.Request) -> None:
        """Never answer; whoever asked gives up some time."""
        while not self._is_cut(request):  # noqa: ASYNC110  aiohttp tells nobody that the peer has gone
            await asyncio.sleep(_LOOK_SECONDS)
        raise Cut

    def _is_cut(self, request: web.Request) -> bool:
        gone = request.transport is None or request.transport.is_closing()
        return gone or self.cluster in self._trouble.cut

    def _see_joined(self, entry: Entry) -> None:
        if self.cluster in self._trouble.cut:
            entry.action = entry.action or "partitioned"
            raise Cut

    async def _pass_on(self, request: web.Request, entry: Entry, body: bytes) -> web.Response:
        if not entry.is_write:
            return await self._forward(request, entry, body)
        async with self._writing:
            response = await self._forward(request, entry, body)
            if entry.is_done and self._trouble.on_commit is not None:
                await self._trouble.on_commit(entry)
        return response

    async def _forward(self, request: web.Request, entry: Entry, body: bytes) -> web.Response:
        view = self._view(entry)
        query = list(request.query.items())
        if view is not None and view.revision is not None and entry.target.verb == "list":
            query = [(k, v) for k, v in query if not k.startswith("resourceVersion")]
            if not any(k == "continue" for k, _ in query):
                query += [
                    ("resourceVersion", str(view.revision)),
                    ("resourceVersionMatch", "Exact"),
                ]
        assert self._session is not None
        async with self._session.request(
            request.method, self._upstream + request.path, params=query, data=body or None,
            headers=_passed(request.headers), allow_redirects=False,
        ) as answer:  # fmt: skip
            content = await answer.read()
            entry.status = answer.status
            if view is not None and entry.target.verb == "list" and answer.status == 200:
                view.note_question(entry.pid, is_list=True)
            if entry.is_write or entry.target.resource in _KEPT_ANSWERS or answer.status >= 400:
                entry.answer = decoded(content)
            return web.Response(status=answer.status, body=content, headers=_passed(answer.headers))

    async def _watch(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        view = self._view(entry)
        assert view is not None
        if view.gone_opens:
            view.gone_opens -= 1
            view.shown.refused += 1
            return _refusal(entry, 410)
        assert self._session is not None
        async with self._session.request(
            "GET", self._upstream + request.path, params=list(request.query.items()),
            headers=_passed(request.headers),
        ) as answer:  # fmt: skip
            entry.status = answer.status
            if answer.status != 200:
                return web.Response(
                    status=answer.status, body=await answer.read(), headers=_passed(answer.headers)
                )
            response = web.StreamResponse(status=200, headers=_passed(answer.headers))
            await response.prepare(request)
            view.note_question(entry.pid, is_list=False)
            stream = Stream(view, response.write, entry.pid)
            try:
                await self._follow(request, answer, stream)
            finally:
                stream.close()
            return response

    async def _follow(
        self, request: web.Request, answer: aiohttp.ClientResponse, stream: Stream
    ) -> None:
        """Pass lines on until either end has had enough; a partition cuts the stream."""
        over = asyncio.create_task(stream.over.wait())
        try:
            while True:
                line = asyncio.create_task(answer.content.readline())
                while not (line.done() or over.done() or self._is_cut(request)):
                    await asyncio.wait(
                        {line, over}, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED"
                    )
                if not line.done():
                    line.cancel()
                    if not over.done():
                        raise Cut
                    return
                if not (text := line.result()):
                    return
                await stream.take(text)
        finally:
            over.cancel()

    def _view(self, entry: Entry) -> View | None:
        if entry.target.verb not in ("list", "watch"):
            return None
        return self._trouble.views[self.cluster, entry.target.resource]

    def _owner(self, request: web.Request) -> int:
        pids = self._pids()
        transport = request.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        if len(pids) < 2 or transport is None or peer is None:
            return next(iter(pids), 0)
        return self._owners.of(transport, peer[1], self.port, pids)


def _passed(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return the headers that go on; the body goes as it is, never packed."""
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in _NOT_PASSED)


def _refusal(entry: Entry, code: int) -> web.Response:
    """Answer as the API server does, without having asked it."""
    entry.status, entry.action = code, entry.action or str(code)
    body = {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": _REASONS.get(code, ""), "message": "as the plan has it",
    }  # fmt: skip
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if code in (429, 503) else {}
    return web.json_response(body, status=code, headers=headers)
