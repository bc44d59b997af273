"""What an operator sees of a collection while a plan holds it back: lists at an old revision, watches that wait.

Writes and reads of single objects go through: they are consistent in Kubernetes, while a list served from a cache and a watch
may be as old as they like. The API server itself serves the old lists (`resourceVersionMatch=Exact`).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

Send = Callable[[bytes], Awaitable[None]]
_BOOKMARK: Final = b'{"type":"BOOKMARK"'


@dataclass
class Shown:
    """What operators were really shown of a collection since their plan began: where nothing was old, nothing was tried."""

    changes: int = 0
    """Events of the API server, bookmarks apart."""
    kept_from: set[int] = field(default_factory=set)
    """Operators (pids) that an event was held back from."""
    old_lists: set[int] = field(default_factory=set)
    """Operators that were served a list at a revision of the past."""
    merged: int = 0
    """Events that nobody saw, since the same object changed again before they were let go."""
    repeated: int = 0
    """Events that were sent again."""
    refused: int = 0
    """Watches that were told 410."""
    given_up: set[int] = field(default_factory=set)
    """Operators that left a silent watch that had something to say."""
    asked_again: set[int] = field(default_factory=set)
    """Operators that listed or watched anew after they had left one."""


@dataclass
class View:
    """One collection of one cluster, as the operator is shown it."""

    revision: int | None = None
    """Frozen at this revision; None: live."""
    known_to: frozenset[int] = frozenset()
    """Operators (pids) that ran when it was frozen; whoever began later has the past for all there is."""
    doubled: bool = False
    """Each event is sent twice."""
    replayed: bool = False
    """After each event an object's last but one state is sent again."""
    is_silent: bool = False
    """Watches that are opened now stay silent, until an operator has left one that had something to say."""
    gone_opens: int = 0
    """So many watches are answered with 410 before one is opened."""
    streams: list["Stream"] = field(default_factory=list)
    shown: Shown = field(default_factory=Shown)

    @property
    def is_live(self) -> bool:
        """Say whether nothing is held back."""
        return self.revision is None

    def followers(self, pids: Collection[int]) -> int:
        """Return how many watches of these operators are open."""
        return sum(each.pid in pids and not each.over.is_set() for each in self.streams)

    def freeze(self, revision: int, pids: Collection[int] = ()) -> None:
        """Show the collection as it was at a revision, from now on, to these operators and whoever follows them."""
        self.revision, self.known_to = revision, frozenset(pids)

    @property
    def pairs(self) -> int:
        """Return how many of the events that are held back nobody would see if they were let go coalesced."""
        return sum(stream.pairs for stream in self.streams)

    def silence(self) -> None:
        """Let watches stay open and say nothing more, not even a bookmark, until an operator has had enough of one."""
        self.is_silent = True
        for stream in self.streams:
            stream.is_silent = True

    def note_question(self, pid: int, *, is_list: bool) -> None:
        """Take note that an operator was served a list or a watch."""
        if is_list and self.revision is not None:
            self.shown.old_lists.add(pid)
        if pid in self.shown.given_up:
            self.shown.asked_again.add(pid)

    def was_shown(self, action: str) -> bool:
        """Say whether what a plan with this action is about has happened to an operator.

        An old view over a restart is one that an operator listed that hadn't run before, while there was something newer.
        """
        shown = self.shown
        return {
            "stale": bool((shown.old_lists & shown.kept_from) - self.known_to - {0}),
            "unobserved": shown.merged > 0,
            "replayed": shown.repeated > 0,
            "gone": shown.refused > 0,
            "stalled": bool(shown.asked_again),
        }[action]

    async def thaw(self, *, coalesce: bool) -> None:
        """Show what was held back; with `coalesce` only the last state of each object, and nothing of what came and went."""
        self.revision, self.is_silent = None, False
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
            self.shown.refused += 1
            await stream.end(line)


class Stream:
    """One open watch of an operator."""

    def __init__(self, view: View, send: Send, pid: int = 0) -> None:
        self._view = view
        self._send = send
        self.pid = pid
        self.is_silent = view.is_silent
        self._held: list[dict[str, Any]] = []
        self._states: dict[str, list[bytes]] = {}  # object key -> its last two states
        self._lock = asyncio.Lock()
        self.over = asyncio.Event()
        """Set: the stream has ended for the operator."""
        view.streams.append(self)

    def close(self) -> None:
        """Forget the stream; whoever leaves it may have been kept from something."""
        self._view.streams.remove(self)
        if self.is_silent and any(not _is_bookmark(event) for event in self._held):
            self._view.shown.given_up.add(self.pid)
            self._view.is_silent = False

    @property
    def pairs(self) -> int:
        """Return how many of the events that are held back nobody would see if they were let go coalesced."""
        return _unseen(self._held)

    async def take(self, line: bytes) -> None:
        """Pass a line of the API server on, or hold it back."""
        async with self._lock:
            if not line.startswith(_BOOKMARK):
                self._view.shown.changes += 1
            if self._is_plain:
                await self._tell(line)
                return
            event = json.loads(line)
            if self._is_held(event):
                self._held.append(event)
                if not _is_bookmark(event):
                    self._view.shown.kept_from.add(self.pid)
            else:
                await self._pass(event, line)

    @property
    def _is_plain(self) -> bool:
        view = self._view
        return view.is_live and not (view.doubled or view.replayed or self.is_silent)

    async def _tell(self, line: bytes) -> None:
        """Send a line; whoever has gone meanwhile lists anew and misses nothing."""
        try:
            await self._send(line)
        except ConnectionError:
            self.over.set()

    def _is_held(self, event: dict[str, Any]) -> bool:
        if self.is_silent:
            return True
        revision = self._view.revision
        return revision is not None and _version(event) > revision

    async def _pass(self, event: dict[str, Any], line: bytes) -> None:
        await self._tell(line)
        if _is_bookmark(event):
            return
        if self._view.doubled:
            await self._again(line)
        if self._view.replayed:
            states = self._states.setdefault(_key(event), [])
            states.append(line)
            for old in states[-2:-1]:
                await self._again(old)

    async def _again(self, line: bytes) -> None:
        self._view.shown.repeated += 1
        await self._tell(line)

    async def release(self, *, coalesce: bool) -> None:
        """Send what was held back."""
        async with self._lock:
            held, self._held, self.is_silent = self._held, [], False
            if coalesce:
                self._view.shown.merged += _unseen(held)
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
        if _is_bookmark(event):
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


def _unseen(events: list[dict[str, Any]]) -> int:
    """Return how many events `coalesced` leaves out."""
    return sum(not _is_bookmark(event) for event in events) - len(coalesced(events))


def _is_bookmark(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "BOOKMARK")


def _key(event: dict[str, Any]) -> str:
    meta = event["object"]["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def _version(event: dict[str, Any]) -> int:
    text = str(event["object"].get("metadata", {}).get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0
