"""A network between the operator and one API server that reads what passes: TLS ends here, with the server's own certificate.

It notes what was asked, holds back requests, puts the server's clock wrong and changes answers, as a test says. Where only
bytes must stop and go, `tests.harness.relay` is simpler.
"""

import asyncio
import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Self

import aiohttp
import yaml
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from tests.harness.listener import Listener
from tests.harness.stack import NAMESPACE, Stack, operator_kubeconfig

_NOT_PASSED = {
    "host", "connection", "content-length", "transfer-encoding", "accept-encoding", "content-encoding",
}  # fmt: skip
_LINE_BYTES = 4 * 1024 * 1024
Matches = Callable[[str, str, bytes], bool]
"""method, path with query, body -> whether a request is meant"""
Change = Callable[[str, str, bytes], bytes]
"""method, path with query, body of an answer or line of a watch -> what is passed on"""


class Between(Listener):
    """One listener in front of one API server."""

    def __init__(self, server: str, certificates: Path) -> None:
        super().__init__("between")
        self._server = server
        self._folder = certificates
        self._holding = threading.Event()
        self._gate = asyncio.Event()
        self._held: Matches = lambda *_: False
        self.change: Change = lambda _method, _path, body: body
        self.clock_seconds = 0
        """So far the Date of every answer is ahead."""
        self.asked: list[tuple[str, str]] = []
        """method, path with query of all that came"""

    @classmethod
    def before(cls, stack: Stack, plane: str) -> Self:
        """Return one before a plane, by whose certificate it is known."""
        config = yaml.safe_load(stack.running.kubeconfig(plane).read_text())
        server = str(config["clusters"][0]["cluster"]["server"])
        return cls(server, stack.running.folder / plane)

    def hold(self, what: Matches) -> None:
        """Let requests that match wait, unsent, until `let_go`."""
        self._holding.clear()
        self._tell(self._gate.clear)
        self._held = what

    def wait_until_held(self, seconds: float = 60.0) -> None:
        """Wait until such a request has come; AssertionError if none does."""
        assert self._holding.wait(seconds), f"nothing came within {seconds} s that is to be held"

    def let_go(self) -> None:
        """Send what waits, and hold nothing more."""
        self._held = lambda *_: False
        self._tell(self._gate.set)

    def stop(self) -> None:
        """Send what waits, and close everything."""
        self._tell(self._gate.set)
        super().stop()

    async def _listen(self) -> None:
        trust = ssl.create_default_context(cafile=str(self._folder / "ca.crt"))
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=_LINE_BYTES,
        ) as self._session:
            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.router.add_route("*", "/{tail:.*}", self._answer)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            shown.load_cert_chain(self._folder / "server.crt", self._folder / "server.key")
            listening = self._open()
            await web.SockSite(runner, listening, ssl_context=shown).start()
            await self._serve_on(listening)
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body, asked = await request.read(), (request.method, request.raw_path)
        self.asked.append(asked)
        if self._held(*asked, body):
            self._holding.set()
            await self._gate.wait()
        try:
            return await self._pass_on(request, body)
        except (aiohttp.ClientError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()  # as the server did
            return web.Response(status=502)

    async def _pass_on(self, request: web.Request, body: bytes) -> web.StreamResponse:
        asked = (request.method, request.raw_path)
        target = URL(self._server + request.raw_path, encoded=True)
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if _is_passed(k))
        async with self._session.request(
            request.method, target, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            shown = CIMultiDict((k, v) for k, v in answer.headers.items() if _is_passed(k))
            shown["Date"] = self._date()
            if request.query.get("watch") not in ("true", "1"):
                told = self.change(*asked, await answer.read())
                return web.Response(status=answer.status, body=told, headers=shown)
            response = web.StreamResponse(status=answer.status, headers=shown)
            await response.prepare(request)
            while line := await answer.content.readline():
                await response.write(self.change(*asked, line))
            return response

    def _date(self) -> str:
        ahead = timedelta(seconds=self.clock_seconds)
        return format_datetime(datetime.now(UTC) + ahead, usegmt=True)


def _is_passed(header: str) -> bool:
    return header.lower() not in _NOT_PASSED


@contextlib.contextmanager
def before_hub(stack: Stack) -> Iterator[tuple[Between, Path]]:
    """Give a network before the hub, and a kubeconfig of the operator's that leads through it."""
    network = Between.before(stack, "hub").start()
    copy = stack.folder / "between.kubeconfig"
    copy.write_text(_through(network, operator_kubeconfig(stack).read_text()))
    try:
        yield network, copy
    finally:
        network.stop()


@contextlib.contextmanager
def before_cluster(stack: Stack, plane: str, secret: str = "") -> Iterator[Between]:
    """Give a network before a leased cluster, and let a Secret on the hub lead through it, the cluster's own if none is named."""
    network = Between.before(stack, plane).start()
    own = stack.get("hub", "secret", "-n", NAMESPACE, plane)["data"]["kubeconfig"]
    config = _through(network, base64.b64decode(own).decode())
    data = {"data": {"kubeconfig": base64.b64encode(config.encode()).decode()}}
    body = ("--type=merge", "-p", json.dumps(data))
    stack.kubectl("hub", "-n", NAMESPACE, "patch", "secret", secret or plane, *body)
    try:
        yield network
    finally:
        network.stop()


def _through(network: Between, text: str) -> str:
    config = yaml.safe_load(text)
    config["clusters"][0]["cluster"]["server"] = network.url
    return str(yaml.safe_dump(config))
