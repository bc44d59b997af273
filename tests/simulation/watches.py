"""A watch, from the log of one server to the lines that one client reads.

Within one stream a server keeps order and never lets a bookmark overtake an event; between streams nothing is ordered.
What real streams do wrong is modelled: they stall in silence, are cut, deliver an event twice (etcd #17247), go over
old events again after a reconnect (etcd #15271), and begin with 410 when the version is compacted.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.answers import encode, parse_path
from tests.simulation.server import Server, selector
from tests.simulation.store import Change, Object

if TYPE_CHECKING:
    from tests.simulation.network import Link

BOOKMARK_SECONDS: Final = 60.0
_OLD_EVENTS: Final = 10
END: Final = b""


class Watch:
    """One open watch; what the client holds is `response`."""

    def __init__(
        self,
        server: Server,
        link: "Link",
        path: str,
        params: Mapping[str, str],
        silence_seconds: float | None,
    ) -> None:
        self._server, self._link = server, link
        self._where = parse_path(path)
        self._matches = selector(params)
        self._silence_seconds = silence_seconds
        self._lines: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._epoch = server.store.epoch
        self.open = True
        self.stalled = False
        """Nothing of it arrives any more, and nobody is told."""
        self.last_at = 0.0
        """When the last line on its way arrives: order is kept."""
        self.response: Any = SimpleNamespace(content=self)
        self._version = int(params["resourceVersion"])
        server.store.followers.append(self._follow)
        link.watches.append(self)
        link.loop.later(float(params["timeoutSeconds"]), self.send, END)
        link.loop.later(BOOKMARK_SECONDS, self._bookmark)
        self._begin()

    async def readline(self) -> bytes:
        """Return the next line, "" at the end; TimeoutError after a silence."""
        while not self._lines:
            self._news.clear()
            async with asyncio.timeout(self._silence_seconds):
                await self._news.wait()
        line = self._lines.popleft()
        if line == b"reset":
            raise ConnectionResetError("cut off")
        return line

    def close(self) -> None:
        """Let go of it."""
        if self.open:
            self.open = False
            self._server.store.followers.remove(self._follow)
            self._link.watches.remove(self)

    def send(self, line: bytes) -> None:
        """Put a line on its way."""
        if self.open and not self.stalled:
            self._link.carry(self, line)

    def arrive(self, line: bytes) -> None:
        """Hand a line over to the client."""
        if self.open and not self.stalled:
            self._lines.append(line)
            self._news.set()

    def reset(self) -> None:
        """Cut the connection; the client is told at once."""
        self.arrive(b"reset")
        self.stalled = True

    def _begin(self) -> None:
        """Send what happened since the version that the client names; 410 if nobody knows any more."""
        store = self._server.store
        if self._version < store.oldest:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            self.send(encode({"type": "ERROR", "object": gone}) + b"\n")
            self.send(END)
            return
        if self._link.wants("replay"):
            self._version = max(store.oldest, self._version - _OLD_EVENTS)
        for change in store.log:
            self._follow(change)

    def _follow(self, change: Change) -> None:
        if self._epoch != self._server.store.epoch:
            self.reset()
            return
        key = change.key
        if change.version <= self._version or key.resource != self._where.resource:
            return
        if self._where.namespace and key.namespace != self._where.namespace:
            return
        before = change.before is not None and self._matches(change.before)
        after = change.type != "DELETED" and self._matches(change.after)
        if not before and not after:
            return
        type_ = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
        line = _line(type_, change.after)
        self.send(line)
        if self._link.wants("double"):
            self.send(line)

    def _bookmark(self) -> None:
        if not self.open:
            return
        # a real server says nothing at all to who is ahead of it (kube-apiserver 1.37: no byte in 80 s)
        if (version := self._server.store.version) >= self._version:
            self.send(_line("BOOKMARK", {"metadata": {"resourceVersion": str(version)}}))
        self._link.loop.later(BOOKMARK_SECONDS, self._bookmark)


def _line(type_: str, obj: Object) -> bytes:
    return encode({"type": type_, "object": obj}) + b"\n"
