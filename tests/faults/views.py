"""What an operator sees of a collection while a plan holds it back: lists at an old revision, watches that wait.

Writes and reads of single objects go through: they are consistent in Kubernetes, while a list served from a cache and a watch
may be as old as they like. The API server itself serves the old lists (`resourceVersionMatch=Exact`).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Send = Callable[[bytes], Awaitable[None]]


@dataclass
class View:
    """One collection of one cluster, as the operator is shown it."""

    revision: int | None = None
    """Frozen at this revision; None: live."""
    doubled: bool = False
    """Each event is sent twice."""
    replayed: bool = False
    """After each event an object's last but one state is sent again."""
    stalled: bool = False
    """Watches stay open and say nothing, not even a bookmark."""
    gone_opens: int = 0
    """So many watches are answered with 410 before one is opened."""
    streams: list["Stream"] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Say whether nothing is held back."""
        return self.revision is None and not self.stalled

    def freeze(self, revision: int) -> None:
        """Show the collection as it was at a revision, from now on."""
        self.revision = revision

    async def thaw(self, *, coalesce: bool) -> None:
        """Show what was held back; with `coalesce` only the last state of each object, and nothing of what came and went."""
        self.revision, self.stalled = None, False
        for stream in list(self.streams):
            await stream.release(coalesce=coalesce)

    async def expire(self) -> None:
        """Tell open watches that their revision is too old, and let the next one hear it when it opens."""
        self.gone_opens = 1
        status = {
            "kind": "Status",
            "code": 410,
            "reason": "Expired",
            "message": "too old (planned)",
        }
        line = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
        for stream in list(self.streams):
            await stream.end(line)


class Stream:
    """One open watch."""

    def __init__(self, view: View, send: Send) -> None:
        self._view = view
        self._send = send
        self._held: list[dict[str, Any]] = []
        self._states: dict[str, list[bytes]] = {}  # object key -> its last two states
        self._lock = asyncio.Lock()
        self.over = asyncio.Event()
        """Set: the stream has ended for the operator."""
        view.streams.append(self)

    def close(self) -> None:
        """Forget the stream."""
        self._view.streams.remove(self)

    async def take(self, line: bytes) -> None:
        """Pass a line of the API server on, or hold it back."""
        async with self._lock:
            if self._view.is_live and not (self._view.doubled or self._view.replayed):
                await self._tell(line)
                return
            event = json.loads(line)
            if self._is_held(event):
                self._held.append(event)
            else:
                await self._pass(event, line)

    async def _tell(self, line: bytes) -> None:
        """Send a line; whoever has gone meanwhile lists anew and misses nothing."""
        try:
            await self._send(line)
        except ConnectionError:
            self.over.set()

    def _is_held(self, event: dict[str, Any]) -> bool:
        if self._view.stalled:
            return True
        revision = self._view.revision
        return revision is not None and _version(event) > revision

    async def _pass(self, event: dict[str, Any], line: bytes) -> None:
        await self._tell(line)
        if event["type"] == "BOOKMARK":
            return
        if self._view.doubled:
            await self._tell(line)
        if self._view.replayed:
            states = self._states.setdefault(_key(event), [])
            states.append(line)
            for old in states[-2:-1]:
                await self._tell(old)

    async def release(self, *, coalesce: bool) -> None:
        """Send what was held back."""
        async with self._lock:
            held, self._held = self._held, []
            for event in coalesced(held) if coalesce else held:
                await self._tell(json.dumps(event).encode() + b"\n")

    async def end(self, line: bytes) -> None:
        """Send a last line and end the stream."""
        async with self._lock:
            await self._tell(line)
            self.over.set()


def coalesced(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last event of each object by name; nothing of one that came and went."""
    first: dict[str, str] = {}  # object key -> type of its first event
    last: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["type"] == "BOOKMARK":
            continue
        first.setdefault(_key(event), event["type"])
        last.pop(_key(event), None)
        last[_key(event)] = event
    kept = []
    for key, event in last.items():
        came = first[key] == "ADDED"
        if event["type"] == "DELETED" and came:
            continue
        kept.append({**event, "type": "ADDED"} if came else event)
    return kept


def _key(event: dict[str, Any]) -> str:
    meta = event["object"]["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def _version(event: dict[str, Any]) -> int:
    text = str(event["object"].get("metadata", {}).get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0
