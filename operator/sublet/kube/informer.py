"""List and watch one collection into callbacks, for as long as the process lives.

What kopf and the stock clients lack, and why this exists: after a re-list, objects that are no longer there are
reported as deleted; a silent watch is cut after a time limit; errors never leave this task; and *stale* is told
apart from *empty*, so that a cluster that went dark keeps its nodes. A server that lies is bounded too: in bytes, in
objects, in time on the loop, and in how often it can make us ask again. Run one per collection; `run` ends only when it
is cancelled.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

import aiohttp
import msgspec
import structlog
from aiohttp.http_exceptions import LineTooLong

from sublet.clock import Clock
from sublet.kube.bodies import decode
from sublet.kube.errors import (
    BadAnswer,
    Gone,
    KubeError,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from sublet.kube.lists import PAGE_SIZE, ListPage, item_of
from sublet.kube.pace import Pace
from sublet.kube.session import ApiServer
from sublet.kube.versions import version_number
from sublet.kube.wire import Bookmark, HasMeta, Meta, RawEvent

T = TypeVar("T", bound=HasMeta)

PAGE_SECONDS: Final = 15.0
"""For one page: the slot for lists is shared, and nobody may hold it for longer."""
NEXT_PAGE_SECONDS: Final = 2.0
"""The next page of a list comes sooner than this, or nobody waits for it."""
SILENCE_SECONDS: Final = 75.0
"""Bookmarks come every minute; a watch that is silent for longer, or takes longer to open, is dead."""
SHORT_WATCH_SECONDS: Final = 1.0
"""A server that ends watches sooner than this is asked again only after a wait."""
LASTING_WATCH_SECONDS: Final = 60.0
"""After a shorter one nothing is listed anew without a wait, which grows: a list takes far more of the loop than a watch."""
MAX_BACKOFF_SECONDS: Final = 60.0
FIRST_BACKOFF_SECONDS: Final = 0.5
WATCH_SECONDS: Final = (240, 360)

RELIST_SECONDS: Final = 3_600.0
"""A watch may lose an event for good; the whole list shows it. Spread by a quarter, so that clusters don't list together."""
LIST_SAVED_SECONDS: Final = 30.0
"""A list may take so much of the loop at once, with turns in between; 12,500 nodes take two."""
LISTS_AT_ONCE: Final = 8
"""Over all clusters: a restart re-lists everything, which must not exhaust memory."""
MAX_OBJECTS: Final = 100_000
MAX_LIST_BYTES: Final = 1024 * 1024 * 1024
"""Of one whole list; 12,500 nodes of 20 KB are a quarter of it."""
MAX_PAGES: Final = 2 * MAX_OBJECTS // PAGE_SIZE
"""A list that says so often that there is more has no end."""
FAILING_SECONDS: Final = 60.0
"""A watch that fails for so long is behind what it should show, whatever else the server answers."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to follow: a collection's path and selectors."""

    path: str
    label_selector: str = ""
    field_selector: str = ""


class Informer(Generic[T]):
    """Follows one collection.

    `upsert` gets each new or changed object, `delete` each one that is gone, `changed` is called after each complete
    list and whenever reachability changes. `listed` gets the objects of a list instead of `upsert`: a list is what there
    is, whatever was known before. All are called from the event loop and must not block. `confirm` is
    awaited before each list and watch and may refuse the server with a KubeError (is it still the same cluster?).
    `log` says whose collection it is.
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
        listed: Callable[[T], None] | None = None,
        clock: Clock,
        lists: asyncio.Semaphore,
        confirm: Callable[[], Awaitable[None]] | None = None,
        log: Any = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        silence_seconds: float = SILENCE_SECONDS,
        max_objects: int = MAX_OBJECTS,
    ) -> None:
        self._api = api
        self._log = log or structlog.get_logger()
        self._target = target
        self._decoder = msgspec.json.Decoder(type_)
        self._events = msgspec.json.Decoder(RawEvent)
        self._bookmarks = msgspec.json.Decoder(Bookmark)
        self._upsert, self._delete, self._changed = upsert, delete, changed
        self._listed = listed or upsert
        self._clock, self._sleep = clock, sleep
        self._lists = lists
        self._confirm = confirm
        self._silence_seconds = silence_seconds
        self._pace = Pace(now=clock.monotonic)
        self._list_pace = Pace(now=clock.monotonic, saved_seconds=LIST_SAVED_SECONDS)
        self._max_objects = max_objects
        self._known: dict[str, Meta] = {}  # object key -> its last metadata
        self._version = ""
        self._newest = 0
        """The highest version that was seen; a list below it comes from a restored backup."""
        self._watch_began: float | None = None
        self._relist_at = float("inf")
        """Monotonic seconds from which the collection is listed again before it is watched."""
        self._page_at = clock.monotonic()
        """Monotonic seconds at which the last page came, or the first one was asked for."""
        self.synced = False
        """A whole list was read at least once."""
        self.last_heard = float("-inf")
        """Monotonic seconds of the last answer, event or bookmark."""
        self.failing_since: float | None = None
        """Monotonic seconds of the first failure since the last success."""
        self.error: KubeError | None = None
        """The last failure, None while all is well."""

    @property
    def trouble(self) -> KubeError | None:
        """Return why what was read may not be what is there: nonsense at once, other failures when they last."""
        since = self.failing_since
        if since is None or isinstance(self.error, BadAnswer):
            return self.error
        return self.error if self._clock.monotonic() - since >= FAILING_SECONDS else None

    @property
    def stale_seconds(self) -> float:
        """Return how long nothing was heard; infinite before the first answer."""
        return self._clock.monotonic() - self.last_heard

    @property
    def is_being_read(self) -> bool:
        """Say whether the first list is under way and its pages come."""
        is_well = not self.synced and self.failing_since is None
        return is_well and self._clock.monotonic() - self._page_at < NEXT_PAGE_SECONDS

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        wait = FIRST_BACKOFF_SECONDS
        while True:
            error = await self._follow()
            lasted = self._watch_seconds()
            if lasted >= LASTING_WATCH_SECONDS:
                wait = FIRST_BACKOFF_SECONDS
                if isinstance(error, Gone):
                    continue
            if error is None and lasted >= SHORT_WATCH_SECONDS:
                continue
            # decorrelated jitter: many clusters that fail together don't come back together; lists only come ever less often
            least = wait if isinstance(error, Gone) else FIRST_BACKOFF_SECONDS
            wait = min(MAX_BACKOFF_SECONDS, random.uniform(least, wait * 3))
            asked = error.retry_after_seconds if isinstance(error, TooManyRequests) else 0.0
            await self._sleep(max(wait, asked))

    async def _follow(self) -> KubeError | None:
        """List if need be, then watch to the stream's end; return what went wrong."""
        self._watch_began = None
        try:
            if self._confirm is not None:
                await self._confirm()
            if not self._version or self._clock.monotonic() >= self._relist_at:
                await self._list()
            await self._watch()
        except Gone as error:
            self._version = ""
            return error
        except KubeError as error:
            self._failed(error)
            return error
        except Exception as error:  # noqa: BLE001  a callback that chokes on one object must not end the following
            self._log.exception("an object could not be taken", path=self._target.path)
            surprise = BadAnswer(f"{self._target.path}: {type(error).__name__}")
            self._failed(surprise)
            return surprise
        return None

    def _watch_seconds(self) -> float:
        """Return how long the last watch lasted, 0 if there was none."""
        began = self._watch_began
        return self._clock.monotonic() - began if began is not None else 0.0

    async def _list(self) -> None:
        """Read the whole collection page by page; what isn't in it any more is gone."""
        seen: set[str] = set()
        self._page_at, size = self._clock.monotonic(), 0
        params = self._params()
        for _ in range(MAX_PAGES):
            page = await self._page(params)
            self._page_at = self._clock.monotonic()
            size += page.bytes
            restored = version_number(page.metadata.resource_version) < self._newest
            steps = (self._take_listed(text, restored=restored) for text in page.items)
            async for key in self._list_pace.over(steps):
                seen.add(key)
            if not page.metadata.next:
                break
            if size > MAX_LIST_BYTES:
                raise BadAnswer(f"the list of {self._target.path} has no end")
            params["continue"] = page.metadata.next
        else:
            raise BadAnswer(f"the list of {self._target.path} has no end")
        gone = [k for k in self._known if k not in seen]
        await self._list_pace.through(self._drop, gone)
        self._version = page.metadata.resource_version
        self._newest = version_number(self._version)
        spread = random.uniform(0.75, 1.25)
        self._relist_at = self._clock.monotonic() + RELIST_SECONDS * spread
        self.synced = True
        self._heard(always_tell=True)

    def _take_listed(self, text: msgspec.Raw, *, restored: bool) -> str:
        """Take one item of a list; return its key."""
        item = item_of(text, self._decoder, self._target.path)
        key = item.metadata.key
        if restored and key in self._known:
            self._delete(self._known[key])  # its version went back
        self._take(item, self._listed)
        return key

    def _drop(self, key: str) -> None:
        """Take one object for gone, unless an event said so meanwhile."""
        if (meta := self._known.pop(key, None)) is not None:
            self._delete(meta)

    async def _page(self, params: dict[str, str]) -> ListPage:
        try:
            async with self._lists, asyncio.timeout(PAGE_SECONDS):
                return await self._api.list_page(self._target.path, params, limit=PAGE_SIZE)
        except Gone as error:
            # to begin the list anew is all that can be done, and one that never comes to its end is trouble
            raise ServerError(error.status, error.reason, error.message) from error
        except TimeoutError as error:
            raise Unreachable(
                f"a page of {self._target.path} took over {PAGE_SECONDS} s"
            ) from error

    async def _watch(self) -> None:
        """Follow from the last version until the server ends the stream, as it does every few minutes."""
        params = self._params(
            watch="1",
            allowWatchBookmarks="true",
            resourceVersion=self._version,
            timeoutSeconds=str(random.randint(*WATCH_SECONDS)),
        )
        silence = self._silence_seconds
        stream = self._api.stream("GET", self._target.path, params=params, silence_seconds=silence)
        try:
            # headers or an error that drip in are never silent
            async with asyncio.timeout(silence) as opening, stream as response:
                opening.reschedule(None)
                self._watch_began = self._clock.monotonic()
                self._heard()
                while line := await self._line(response):
                    begun = self._clock.monotonic()
                    self._take_line(line)
                    if self._pace.took(self._clock.monotonic() - begun):
                        await self._pace.give_way()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"watch of {self._target.path}: {error!r}") from error

    async def _line(self, response: aiohttp.ClientResponse) -> bytes:
        """Read a whole event; one that drips in for longer than a silence may last is no event."""
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await response.content.readline()
        except (ValueError, LineTooLong):  # without the error, which holds what was read
            raise BadAnswer("a watch event is larger than any object may be") from None

    def _take_line(self, line: bytes) -> None:
        event = decode(line, self._events, self._target.path)
        if event.type in ("BOOKMARK", "ERROR"):
            self._take_bookmark(event)
            return
        item = decode(event.object, self._decoder, self._target.path)
        self._reached(item.metadata.resource_version)
        if event.type == "DELETED":
            self._known.pop(item.metadata.key, None)
            self._delete(item.metadata)
        else:
            self._take(item, self._upsert)
        self._heard()

    def _take_bookmark(self, event: RawEvent) -> None:
        mark = decode(event.object, self._bookmarks, self._target.path)
        if event.type == "ERROR":
            kind = Gone if mark.code == HTTPStatus.GONE else ServerError
            raise kind(mark.code, mark.reason, mark.message)
        if version_number(mark.metadata.resource_version) < self._newest:
            # restored from a backup: what is known of it may never have been, and no event will say so
            raise Gone(HTTPStatus.GONE, "Restored", "the server's versions went back")
        self._reached(mark.metadata.resource_version)
        self._heard()

    def _reached(self, version: str) -> None:
        self._version = version
        self._newest = max(self._newest, version_number(version))

    def note(self, meta: Meta) -> None:
        """Take note of an object that an answer showed: a list without it says that it is gone."""
        self._known[meta.key] = meta

    def _take(self, item: T, show: Callable[[T], None]) -> None:
        key = item.metadata.key
        if key not in self._known and len(self._known) >= self._max_objects:
            raise BadAnswer(f"{self._target.path} has more than {self._max_objects} objects")
        self._known[key] = item.metadata
        show(item)

    def _heard(self, *, always_tell: bool = False) -> None:
        self.last_heard = self._clock.monotonic()
        tell = always_tell or self.error is not None
        self.error, self.failing_since = None, None
        if tell:
            self._changed()

    def _failed(self, error: KubeError) -> None:
        if self.failing_since is None:
            self.failing_since = self._clock.monotonic()
            name = type(error).__name__
            self._log.warning("watch failed", path=self._target.path, error=name)
        # it may be back from a backup: a watch from a version that it hasn't reached says nothing, and from one that it has passed
        # leaves out what lies before
        self._version = ""
        self.error = error
        self._changed()

    def _params(self, **params: str) -> dict[str, str]:
        if self._target.label_selector:
            params["labelSelector"] = self._target.label_selector
        if self._target.field_selector:
            params["fieldSelector"] = self._target.field_selector
        return params


__all__ = ["Informer", "Target"]
