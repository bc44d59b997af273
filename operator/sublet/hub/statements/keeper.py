"""Closes billing periods that are over, and keeps statements as the ledger says. On the leader, hourly, by a task of its own.

Closing is a line of the ledger; of two that close the same period the first one holds. Statements are written where they differ, by
compare-and-set, and made again where they are gone; what a live list doesn't show, or shows otherwise, is looked at again. In
a namespace that became another tenant's they are taken away. A namespace that isn't there, and one statement that can't be
written, hold up no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, Final

import structlog

from sublet.api.gpustatement import GpuStatement, StatementStatus
from sublet.api.kinds import STATEMENTS, TENANTS
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.clock import Clock
from sublet.hub.statements.owners import Owners
from sublet.hub.statements.wanted import (
    Key,
    Unmade,
    Wanted,
    conditions,
    names,
    strays,
    unready,
    wanted,
)
from sublet.kube.errors import Conflict, KubeError, NotFound
from sublet.kube.session import ApiServer
from sublet.kube.skew import ahead_seconds
from sublet.kube.wire import HasMeta, Meta
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from sublet.ledger.terms import content_hash
from sublet.logs import log_about_object
from sublet.rating.books import Books
from sublet.rating.periods import closing, due_to_close
from sublet.rating.tenancy import tenancies_of
from sublet.store.carried import CarriedBooks
from sublet.store.sql import SqlLedger

FIRST_LOOK_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 60.0
_MOST_CLOSED: Final = 240
"""Periods of one tenant that are closed in one look."""
_DUMP: Final[dict[str, Any]] = {"mode": "json", "by_alias": True, "exclude_none": True}
_PASSING: Final = {"as_of_time", "ledger_seq", "ledger_head", "conditions"}
"""What of a status alone is no reason to write it."""


class _Names(HasMeta):
    items: list[HasMeta] | None = None
    """Null of an empty list of metadata."""


class Statements:
    """Keeps statements."""

    def __init__(
        self,
        hub: ApiServer,
        ledger: SqlLedger,
        clock: Clock,
        *,
        every_seconds: float,
        close_after_days: int,
        owners: Callable[[], Owners],
        failing: Callable[[bool], None],
    ) -> None:
        """Keep statements, in no namespace of another tenant.

        `failing` is told after each look whether something that is due isn't made or written.
        """
        self._hub, self._ledger, self._clock = hub, ledger, clock
        self._every_seconds, self._after_days = every_seconds, close_after_days
        self._owners, self._failing = owners, failing
        self._carried = CarriedBooks(ledger)
        self._known: dict[Key, tuple[str, Wanted]] = {}
        """key -> resourceVersion at which it was seen to be as wanted, and what was"""
        self._said: dict[tuple[str, str], str] = {}  # tenant and month -> fault that was logged

    async def run(self, leads: Callable[[], bool]) -> None:
        """Look now and then, for ever; what can't be read or written now is tried again soon."""
        wait = FIRST_LOOK_SECONDS
        while True:
            await asyncio.sleep(wait)
            wait = FIRST_LOOK_SECONDS
            if not leads():
                continue
            is_whole = False
            try:
                is_whole = await self.look()
                wait = self._every_seconds
            except (LedgerUnavailable, LedgerConflict, BrokenLedger, KubeError) as error:
                structlog.get_logger().warning("statements not written", error=str(error))
                wait = min(_RETRY_SECONDS, self._every_seconds)
            except Exception:  # noqa: BLE001  one bad line must not end the keeping
                structlog.get_logger().exception("statements not written")
                wait = self._every_seconds
            self._failing(not is_whole)

    async def look(self) -> bool:
        """Close what is due, and write what differs; return whether all of it was made and written."""
        live = await self._live()
        now_ms = self._clock.now_ms()
        over_ms = self._over_by_both_clocks(now_ms)
        books, owners = await self._carried.read_on(), self._owners()
        if over_ms is not None:
            books = await self._close(books, over_ms, owners)
        is_whole = over_ms is not None
        for key in strays(books, live, owners):
            if not await self._written(key, self._take_away(key, live.pop(key).uid)):
                is_whole = False
        made = await asyncio.to_thread(_all_wanted, books, now_ms, live, owners)
        for each in made:
            if isinstance(each, Unmade):
                is_whole = False
                self._note(each)
                await self._mark_unmade(each, live)
                continue
            self._said.pop((each.spec.tenant, each.spec.month), None)
            key = (each.namespace, each.name)
            seen = live.get(key)
            version = seen.resource_version if seen is not None else None
            if not await self._written(key, self._keep(each, version)):
                is_whole = False
        kept = {(each.namespace, each.name) for each in made if isinstance(each, Wanted)}
        self._known = {key: seen for key, seen in self._known.items() if key in kept}
        return is_whole

    async def _close(self, books: Books, over_ms: Millis, owners: Owners) -> Books:
        """Close what is due, and return the books with that."""
        for _ in range(_MOST_CLOSED):
            facts, texts = await asyncio.to_thread(self._closings, books, over_ms, owners)
            if not facts:
                break
            await self._ledger.append(facts, texts)
            books = await self._carried.read_on()
        return books

    def _over_by_both_clocks(self, now_ms: Millis) -> Millis | None:
        """Return until when time is over by our clock and by the hub's; None while the hub doesn't say.

        What is closed stays closed: one clock that is ahead for a moment would close months to come.
        """
        ahead = ahead_seconds(self._hub.date, now_ms)
        return None if ahead is None else Millis(now_ms + min(0, ahead) * MS_PER_SECOND)

    @staticmethod
    async def _written(key: Key, work: Awaitable[None]) -> bool:
        """Say whether something could be written on one statement; what couldn't holds up no other."""
        try:
            await work
        except KubeError as error:
            log = log_about_object(STATEMENTS.name, "/".join(key))
            log.warning("statement not written", error=str(error))
            return False
        return True

    def _closings(
        self, books: Books, now_ms: Millis, owners: Owners
    ) -> tuple[list[Any], dict[str, str]]:
        """Return the lines that close what is due, one period of each tenant, and their texts."""
        facts, texts = [], {}
        for tenancy in tenancies_of(books).values():
            due = due_to_close(tenancy, now_ms, self._after_days)
            if due is None or tenancy.terms is None:
                continue
            name = tenancy.terms.name
            is_anothers = partial(owners.is_anothers, tenant=name)
            try:
                fact, text = closing(books, tenancy, due[0], now_ms, is_anothers)
            except ValueError as error:  # no rate, or a line that can't be understood
                self._note(Unmade.of(name, due[0], error))
                continue
            facts.append(fact)
            texts[content_hash(text)] = text
        return facts, texts

    async def _live(self) -> dict[Key, Meta]:
        """Return the metadata of every statement that there is."""
        found = await self._hub.list_metadata(STATEMENTS.path(), _Names)
        return {(x.metadata.namespace, x.metadata.name): x.metadata for x in found.items or ()}

    async def _take_away(self, key: Key, uid: str) -> None:
        """Delete a statement whose namespace is another tenant's."""
        try:
            await self._hub.delete(STATEMENTS.path(*key), uid=uid)
        except (NotFound, Conflict):
            return  # gone, or made anew since it was listed
        log = log_about_object(STATEMENTS.name, "/".join(key))
        log.info("statement taken away: its namespace is another tenant's")

    async def _keep(self, each: Wanted, version: str | None) -> None:
        """Make one statement as it should be."""
        key = (each.namespace, each.name)
        seen = self._known.get(key)
        if seen is not None and seen[0] == version and _is_settled(seen[1], each):
            return
        live = await self._read(each) if version is not None else await self._create(each)
        if live is None or live.spec != each.spec:
            return
        said = conditions(each, live.status.conditions, self._clock.now_ms())
        if said != live.status.conditions or not _same(live.status, each.status):
            live = await self._replace(live, each.status.model_copy(update={"conditions": said}))
        if live is not None:
            self._known[key] = (live.metadata.resource_version, each)

    async def _read(self, each: Wanted) -> GpuStatement | None:
        try:
            body = await self._hub.get(STATEMENTS.path(each.namespace, each.name))
        except NotFound:
            return None  # gone since it was listed: the next look makes it
        return GpuStatement.model_validate(body)

    async def _create(self, each: Wanted) -> GpuStatement | None:
        body = {
            "apiVersion": "sublet.dev/v1alpha1",
            "kind": STATEMENTS.name,
            "metadata": {"name": each.name, "namespace": each.namespace},
            "spec": each.spec.model_dump(**_DUMP),
        }
        try:
            return GpuStatement.model_validate(
                await self._hub.create(STATEMENTS.path(each.namespace), body)
            )
        except (NotFound, Conflict):
            return None  # no such namespace, or made meanwhile

    async def _replace(self, live: GpuStatement, status: StatementStatus) -> GpuStatement | None:
        meta = live.metadata
        body = {
            "apiVersion": "sublet.dev/v1alpha1",
            "kind": STATEMENTS.name,
            "metadata": {
                "name": meta.name,
                "namespace": meta.namespace,
                "uid": meta.own_uid,
                "resourceVersion": meta.resource_version,
            },
            "spec": live.spec.model_dump(**_DUMP),
            "status": status.model_dump(**_DUMP),
        }
        path = STATEMENTS.path(meta.namespace, meta.name, "status")
        try:
            return GpuStatement.model_validate(await self._hub.replace(path, body))
        except (NotFound, Conflict):
            return None  # outrun: the next look is made of the newer object

    async def _mark_unmade(self, each: Unmade, live: Collection[Key]) -> None:
        """Say on the month's statements that there are that they aren't up to date, and why."""
        for key in live:
            if key[1].startswith(f"{each.tenant}-{each.month}-"):
                await self._written(key, self._mark(key, each))

    async def _mark(self, key: Key, each: Unmade) -> None:
        body = await self._hub.get(STATEMENTS.path(*key))
        found = GpuStatement.model_validate(body)
        said = unready(each, found.status.conditions, self._clock.now_ms())
        if said != found.status.conditions:
            await self._replace(found, found.status.model_copy(update={"conditions": said}))

    def _note(self, each: Unmade) -> None:
        """Log a fault when it begins, not at each look."""
        key = (each.tenant, each.month)
        if self._said.get(key) != each.why:
            self._said[key] = each.why
            log = log_about_object(TENANTS.name, each.tenant)
            log.error("no statement", month=each.month, error=each.why)


def _all_wanted(
    books: Books, now_ms: Millis, live: Collection[Key], owners: Owners
) -> list[Wanted | Unmade]:
    tenancies = tenancies_of(books)
    return [
        each
        for name, uid in names(books).items()
        for each in wanted(books, tenancies[uid], name, now_ms, live, owners)
    ]


def _is_settled(before: Wanted, now: Wanted) -> bool:
    return before.is_closed is now.is_closed and _same(before.status, now.status)


def _same(one: StatementStatus, other: StatementStatus) -> bool:
    """Say whether two statuses say the same but for until when it was looked at."""
    return one.model_dump(exclude=_PASSING) == other.model_dump(exclude=_PASSING)
