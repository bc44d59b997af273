"""List and watch one collection into callbacks, for as long as the process lives.

What kopf and the stock clients lack, and why this exists: after a re-list, objects that are no longer there are
reported as deleted; a silent watch is cut after a time limit; errors never leave this task; and *stale* is told
apart from *empty*, so that a cluster that went dark keeps its nodes. Run one per collection; `run` ends only
when it is cancelled.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import aiohttp
import msgspec
import structlog

from sublet.clock import Clock
from sublet.kube.errors import ApiError, Gone, KubeError, TooManyRequests, Unauthorized, Unreachable
from sublet.kube.session import ApiServer
from sublet.kube.wire import Bookmark, HasMeta, ListMeta, Meta, RawEvent

T = TypeVar("T", bound=HasMeta)

PAGE_SIZE: Final = 500
SILENCE_SECONDS: Final = 75.0
"""Bookmarks come every minute; a watch that is silent for longer is dead."""
MAX_BACKOFF_SECONDS: Final = 60.0
_FIRST_BACKOFF_SECONDS: Final = 0.5
_WATCH_SECONDS: Final = (240, 360)

LISTS_AT_ONCE: Final = 8
"""Over all clusters: a restart re-lists everything, which must not exhaust memory."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to follow: a collection's path and selectors."""

    path: str
    label_selector: str = ""
    field_selector: str = ""


class Informer(Generic[T]):
    """Follows one collection.

    `upsert` gets each new or changed object, `delete` each one that is gone, `changed` is called after the first
    complete list and whenever reachability changes. All are called from the event loop and must not block.
    """

    def __init__(
        self,
        api: ApiServer,
        target: Target,
        type_: type[T],
        *,
        upsert: Callable[[T], None],
        delete: Callable[[Meta], None],
        changed: Callable[[], None],
        clock: Clock,
        lists: asyncio.Semaphore,
    ) -> None:
        self._api = api
        self._target = target
        page = msgspec.defstruct("Page", [("metadata", ListMeta), ("items", list[type_])])  # type: ignore[valid-type]  # a run-time type
        self._list_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(page)
        self._decoder = msgspec.json.Decoder(type_)
        self._events = msgspec.json.Decoder(RawEvent)
        self._bookmarks = msgspec.json.Decoder(Bookmark)
        self._upsert, self._delete, self._changed = upsert, delete, changed
        self._clock = clock
        self._lists = lists
        self._known: dict[str, Meta] = {}  # object key -> its last metadata
        self._version = ""
        self.synced = False
        """A whole list was read at least once."""
        self.last_heard = float("-inf")
        """Monotonic seconds of the last answer, event or bookmark."""
        self.failing_since: float | None = None
        """Monotonic seconds of the first failure since the last success."""
        self.error: KubeError | None = None
        """The last failure, None while all is well."""

    @property
    def stale_seconds(self) -> float:
        """Return how long nothing was heard; infinite before the first answer."""
        return self._clock.monotonic() - self.last_heard

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        wait = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                wait = _FIRST_BACKOFF_SECONDS
                continue
            except Gone:
                self._version = ""
                continue
            except KubeError as error:
                self._failed(error)
                if self.stale_seconds < SILENCE_SECONDS:
                    wait = min(wait, MAX_BACKOFF_SECONDS / 4)
            if isinstance(self.error, TooManyRequests):
                wait = max(wait, self.error.retry_after_seconds)
            # decorrelated jitter: many clusters that fail together don't come back together
            wait = min(MAX_BACKOFF_SECONDS, random.uniform(_FIRST_BACKOFF_SECONDS, wait * 3))
            await asyncio.sleep(wait)

    async def _list(self) -> None:
        """Read the whole collection page by page; what isn't in it any more is gone."""
        seen: set[str] = set()
        params = self._params(limit=str(PAGE_SIZE))
        async with self._lists:
            while True:
                page = self._list_decoder.decode(await self._get(params))
                for item in page.items:
                    seen.add(item.metadata.key)
                    self._take(item)
                if not page.metadata.next:
                    break
                params["continue"] = page.metadata.next
        for key in [k for k in self._known if k not in seen]:
            self._delete(self._known.pop(key))
        self._version = page.metadata.resource_version
        self.synced = True
        self._heard(always_tell=True)

    async def _get(self, params: dict[str, str]) -> bytes:
        return await self._api.request("GET", self._target.path, params=params)

    async def _watch(self) -> None:
        """Follow from the last version until the server ends the stream, as it does every few minutes."""
        params = self._params(
            watch="1",
            allowWatchBookmarks="true",
            resourceVersion=self._version,
            timeoutSeconds=str(random.randint(*_WATCH_SECONDS)),
        )
        try:
            async with self._api.stream(
                "GET", self._target.path, params=params, silence_seconds=SILENCE_SECONDS
            ) as response:
                self._heard()
                while line := await response.content.readline():
                    self._take_line(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unreachable(f"watch of {self._target.path}: {error!r}") from error

    def _take_line(self, line: bytes) -> None:
        try:
            event = self._events.decode(line)
            if event.type in ("BOOKMARK", "ERROR"):
                self._take_bookmark(event)
                return
            item = self._decoder.decode(event.object)
        except msgspec.MsgspecError as error:
            raise Unreachable(
                f"watch of {self._target.path}: not what the API promises: {error}"
            ) from error
        self._version = item.metadata.resource_version
        if event.type == "DELETED":
            self._known.pop(item.metadata.key, None)
            self._delete(item.metadata)
        else:
            self._take(item)
        self._heard()

    def _take_bookmark(self, event: RawEvent) -> None:
        mark = self._bookmarks.decode(event.object)
        if event.type == "ERROR":
            kind = Gone if mark.code == 410 else ApiError  # noqa: PLR2004  HTTP's Gone
            self._version = ""
            raise kind(mark.code, mark.reason, mark.message)
        self._version = mark.metadata.resource_version
        self._heard()

    def _take(self, item: T) -> None:
        self._known[item.metadata.key] = item.metadata
        self._upsert(item)

    def _heard(self, *, always_tell: bool = False) -> None:
        self.last_heard = self._clock.monotonic()
        tell = always_tell or self.error is not None
        self.error, self.failing_since = None, None
        if tell:
            self._changed()

    def _failed(self, error: KubeError) -> None:
        if self.failing_since is None:
            self.failing_since = self._clock.monotonic()
            log = structlog.get_logger()
            log.warning("watch failed", path=self._target.path, error=type(error).__name__)
        if isinstance(error, ApiError) and not isinstance(error, Unauthorized):
            self._version = ""  # the server's view changed under us; otherwise resume where we were
        self.error = error
        self._changed()

    def _params(self, **params: str) -> dict[str, str]:
        if self._target.label_selector:
            params["labelSelector"] = self._target.label_selector
        if self._target.field_selector:
            params["fieldSelector"] = self._target.field_selector
        return params
