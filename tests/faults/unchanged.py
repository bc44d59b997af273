"""A plane that is read again only when something in it has changed, which the revision of its etcd says: every write of anybody raises it.

The invariants are looked at after each write, which goes to one plane of three, and most of a look's time went into reading what
it had read before.
"""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import aiohttp

from sublet.kube.errors import NotFound
from sublet.kube.session import ApiServer

T = TypeVar("T")
_ANY_KEY: Final = base64.b64encode(b"/").decode()


class Unchanged:
    """Reads a plane as its admin; what was answered stands for as long as its etcd is at the same revision."""

    def __init__(self, api: ApiServer, etcd: str, http: aiohttp.ClientSession) -> None:
        self._api, self._etcd, self._http = api, etcd, http
        self._revision = ""
        self._answers: dict[
            tuple[object, ...], Any
        ] = {}  # question -> answer, or that it isn't there

    async def look(self) -> None:
        """Begin a reading: forget what was answered before if anything has changed since."""
        question = {"key": _ANY_KEY, "limit": 1}
        async with self._http.post(f"{self._etcd}/v3/kv/range", json=question) as answer:
            revision = str((await answer.json())["header"]["revision"])
        if revision != self._revision:
            self._answers.clear()
        self._revision = revision

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        """Read one object or list."""
        key = (path, *sorted(params.items()))
        return await self._answered(key, lambda: self._api.get(path, **params))

    async def list_metadata(self, path: str, type_: type[T], **params: str) -> T:
        """Read a list's metadata alone."""
        key = (type_, path, *sorted(params.items()))
        return await self._answered(key, lambda: self._api.list_metadata(path, type_, **params))

    async def _answered(self, key: tuple[object, ...], ask: Callable[[], Awaitable[T]]) -> T:
        if key not in self._answers:
            try:
                self._answers[key] = await ask()
            except NotFound as error:
                self._answers[key] = error
        found = self._answers[key]
        if isinstance(found, NotFound):
            raise found
        answer: T = found
        return answer
