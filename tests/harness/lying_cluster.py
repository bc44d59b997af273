"""A landlord's real API server behind somebody who lies: every answer is the server's own, but for those that are lied about."""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import yaml
from aiohttp import web
from yarl import URL

from tests.harness.between import Between
from tests.harness.fake_api import Answer
from tests.harness.stack import NAMESPACE, Stack


class Honest(Protocol):
    """Asks the server the same, or with another method or a longer query, and returns its own answer."""

    async def __call__(self, method: str = "", **query: str) -> web.Response: ...


Lie = Callable[[web.Request, Honest], Awaitable[web.StreamResponse]]


class Showing:
    """A lie about objects: in an answer, in a list and in a watch, each as the server has it but changed."""

    def __init__(self, change: Callable[[dict[str, Any]], object]) -> None:
        self.change = change

    def told(self, text: bytes) -> bytes:
        """Return an answer, or an event of a watch, with the objects in it changed."""
        body = json.loads(text)
        for each in body.get("items", [body.get("object", body)]):
            if each.get("kind") != "Status":
                self.change(each)
        return json.dumps(body).encode() + b"\n"


def instead(answer: Answer) -> Lie:
    """Return a lie that asks the server nothing."""

    async def lie(request: web.Request, _: Honest) -> web.StreamResponse:
        return await answer(request)

    return lie


class LyingCluster(Between):
    """Stands before a leased cluster of a stack, honest until it is told what to lie about."""

    def __init__(self, server: str, certificates: Path) -> None:
        super().__init__(server, certificates)
        self._told: list[tuple[str, re.Pattern[str], Lie | Showing]] = []
        self.lies = 0
        """Requests that were lied to so far; of watches, events too."""
        self.change = self._changed

    def tell(self, method: str, path: str, lie: Lie | Showing) -> None:
        """Have such requests lied to from now on: by method, `*` for any, and a pattern of the whole path."""
        self._told.append((method, re.compile(path), lie))

    def calm(self) -> None:
        """Lie no more."""
        self._told.clear()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        lie = self._lie_about(request.method, request.path)
        if lie is None or isinstance(lie, Showing):
            return await super()._answer(request)
        self.asked.append((request.method, request.raw_path))
        self.lies += 1
        body = await request.read()

        async def honest(method: str = "", **query: str) -> web.Response:
            target = URL(self._server + request.raw_path, encoded=True).update_query(query)
            headers = {k: request.headers[k] for k in ("Authorization", "Content-Type")}
            async with self._session.request(
                method or request.method, target, data=None if method else body, headers=headers
            ) as answer:
                told = await answer.read()
                return web.Response(
                    status=answer.status, body=told, content_type=answer.content_type
                )

        return await lie(request, honest)

    def _changed(self, method: str, path: str, text: bytes) -> bytes:
        lie = self._lie_about(method, path.partition("?")[0])
        if not isinstance(lie, Showing):
            return text
        self.lies += 1
        return lie.told(text)

    def _lie_about(self, method: str, path: str) -> Lie | Showing | None:
        found = (
            lie
            for about, pattern, lie in self._told
            if about in (method, "*") and pattern.fullmatch(path)
        )
        return next(found, None)


@contextmanager
def lying(stack: Stack, plane: str) -> Iterator[LyingCluster]:
    """Stand before a leased cluster, and let its Secret on the hub lead there."""
    secret = stack.get("hub", "secret", "-n", NAMESPACE, plane)
    config = yaml.safe_load(base64.b64decode(secret["data"]["kubeconfig"]))
    liar = LyingCluster.before(stack, plane).start()
    try:
        config["clusters"][0]["cluster"]["server"] = liar.url
        text = base64.b64encode(yaml.safe_dump(config).encode()).decode()
        patch = json.dumps({"data": {"kubeconfig": text}})
        stack.kubectl("hub", "-n", NAMESPACE, "patch", "secret", plane, "--type=merge", "-p", patch)
        yield liar
    finally:
        liar.stop()
