"""Writes statuses of leases, classes and tenants, and in-use finalizers; tells claims that can't be read. Only on change.

Each write is a compare-and-set by resourceVersion. What outran a write is read, and the next pass, which sees the newer
object, makes it again. After one that the hub didn't take nothing changes, so that it says itself when it is due again.
Conditions of others stay.
Against another operator that writes the same it doesn't write at once (see contest); finalizers don't wait for that.
The loop only begins it: a webhook may keep each write for half a minute, and no decision waits for that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from math import ceil
from typing import Any, Final, TypeVar

import structlog

from sublet.api.common import Condition, Status, find_condition, next_condition
from sublet.api.gpuclass import ClassStatus, GpuClass
from sublet.api.gpulease import GpuLease, LeaseStatus
from sublet.api.gputenant import GpuTenant, TenantStatus
from sublet.api.ids import LeaseUID
from sublet.api.kinds import CLAIMS, CLASSES, IN_USE_FINALIZER, LEASES, TENANTS, Kind
from sublet.api.reading import SPEC_UNREAD, goes_on
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.api.zones import zone_exists
from sublet.book.demand import tenants_by_namespace
from sublet.book.inventory import LeaseInventory
from sublet.clock import Clock
from sublet.fleet.conditions import lease_status
from sublet.fleet.lost import LOST
from sublet.fleet.registry import Fleet
from sublet.hub.aftermath import left_beside, left_there
from sublet.hub.contest import Contest
from sublet.hub.feeders import read_anew
from sublet.hub.in_use import in_use, lease_in_use
from sublet.hub.state import HubState, Unread
from sublet.hub.tally import Tally
from sublet.hub.unread import told_claim, told_patch, word_key, words_in
from sublet.hub.unread_holder import part
from sublet.kube.errors import Conflict, Invalid, KubeError, NotFound
from sublet.kube.session import ApiServer, JsonPatch
from sublet.logs import log_about_object

K = TypeVar("K", GpuClass, GpuLease, GpuTenant)
_Status = ClassStatus | LeaseStatus | TenantStatus
_Sending = Callable[[], Awaitable[Mapping[str, Any]]]
_WRITES_AT_ONCE: Final = 8
_RETRY_SECONDS: Final = 5
_NOW_AND_THEN: Final = frozenset({LOST, "OptionsOpen", "TimeZoneUnknown"})
"""Conditions of ours that aren't always said; one that is said no more at all belongs here too."""
_MOST_CONDITIONS: Final = 16
_NAMED: Final = 5
_DUMP: Final[dict[str, Any]] = {"mode": "json", "by_alias": True, "exclude_none": True}


class StatusWriter:
    """Brings the hub's objects in line with what is known."""

    def __init__(
        self,
        hub: ApiServer,
        state: HubState,
        fleet: Fleet,
        clock: Clock,
        *,
        lived_ms: Callable[[], Millis | None] = lambda: None,
        marked: Callable[[GpuLease], int | None] = lambda _: None,
    ) -> None:
        """`lived_ms`: until when a leader before us is known to have lived.

        `marked`: how many nodes carry the mark of a lease that is over, by a live list; None while that isn't known.
        """
        self._marked = marked
        self._lived_ms = lived_ms
        self._hub = hub
        self._state = state
        self._fleet = fleet
        self._clock = clock
        self._tally = Tally(state.claims)
        self._slots = asyncio.Semaphore(_WRITES_AT_ONCE)
        self.due_ms: Millis | None = None
        """When to write again at the latest; None if nothing failed and nothing waits."""
        self._contest = Contest(clock)
        self._task: asyncio.Task[None] | None = None
        self._is_asked = False
        self._wake: asyncio.TimerHandle | None = None

    def tend(self) -> None:
        """Begin to write what changed; while that is under way, once more after it."""
        self._is_asked, self.due_ms = True, None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_as_asked(), name="statuses")

    async def close(self, patience_seconds: float) -> None:
        """Begin nothing more, and let what is under way end."""
        self._is_asked = False
        if self._task is not None:
            await asyncio.wait([self._task], timeout=patience_seconds)
            self._task.cancel()
        if self._wake is not None:
            self._wake.cancel()

    async def _write_as_asked(self) -> None:
        while self._is_asked:
            self._is_asked = False
            try:
                await self.write_all()
            except Exception:  # noqa: BLE001  one that can't be told must not keep all others from it for ever
                structlog.get_logger().exception("statuses not written")
                self._look_again(_RETRY_SECONDS)
        if self._wake is not None:
            self._wake.cancel()
        if self.due_ms is not None:
            seconds = max(0, self.due_ms - self._clock.now_ms()) / MS_PER_SECOND
            self._wake = asyncio.get_running_loop().call_later(seconds, self._state.changed)

    def follow(self) -> None:
        """Count what changed, also while another replica leads: what came and went isn't kept."""
        self._tally.renew()

    async def write_all(self) -> None:
        """Write the statuses and finalizers of leases, classes and tenants that changed."""
        now, self.due_ms = self._clock.now_ms(), None
        self._tally.renew()
        inventories = self._fleet.inventories()
        writes = [self._lease(lease, inventories, now) for lease in self._state.leases.all()]
        writes += [self._class(each, now) for each in self._state.classes.all()]
        writes += [self._tenant(each, now) for each in self._state.tenants.all()]
        writes += [
            self._unread(kind, each, now)
            for kind in (LEASES, CLASSES, TENANTS)
            for each in self._state.shelf(kind.plural).unread()
        ]
        writes += [self._unread_claim(each, now) for each in self._state.claims.untaken()]
        await asyncio.gather(*writes)
        shelves = (self._state.leases, self._state.classes, self._state.tenants)
        kept = {item.metadata.uid for shelf in shelves for item in shelf.all()}
        untaken = (x for shelf in (*shelves, self._state.claims) for x in shelf.untaken())
        self._contest.keep(kept | {word_key(each) for each in untaken})

    async def _lease(
        self, lease: GpuLease, inventories: Mapping[LeaseUID, LeaseInventory], now: Millis
    ) -> None:
        uid = LeaseUID(lease.metadata.uid)
        if lease.status.conditions and not self._fleet.has_answered(uid):
            return  # a restart, or a new credential, is no reason to say for a second that nothing is known
        inventory = inventories.get(uid) or LeaseInventory(uid)
        held = self._tally.held(uid, now)
        facts, lived_ms = self._fleet.facts(uid), self._lived_ms()
        status = lease_status(lease, facts, inventory, held, now, lived_ms=lived_ms)
        using = self._tally.leases[uid]
        has_nodes = self._has_nodes(lease)
        # restored claims hold what they held, adopted or not
        claims = (*self._state.claims.all(), *self._state.claims.awaited())
        found = lease_in_use(lease, using, claims, has_nodes=has_nodes, unread=held.unread)
        said = _condition(lease, "InUse", found, now)
        conditions = (*_without(status.conditions, "InUse"), said, *_zone(lease, now))
        update: dict[str, Any] = {"conditions": conditions}
        if status.lost is not None:
            update["leftovers"], more = left_there(lease, status.lost, claims, now)
            update["leftovers_more"] = left_beside(lease, more, facts.orphans)
        status = status.model_copy(update=update)
        await self._write(LEASES, lease, status, in_use=using > 0 or has_nodes)

    def _has_nodes(self, lease: GpuLease) -> bool:
        """Say whether nodes may carry the lease's mark: always while it lives, else until all are handed back.

        While that isn't known, a cluster that was reached once may have some, whatever the watch shows. Those of a lost one
        that doesn't answer keep their mark: no other lease sells a node with a mark that isn't its own.
        """
        if lease.metadata.deletion_timestamp is None:
            return True
        marked = self._marked(lease)
        if marked is None:
            was_reached = lease.status.cluster_uid is not None
            return not lease.is_lost and (was_reached or bool(lease.status.leftovers))
        return marked > 0 or bool(lease.status.leftovers)

    async def _class(self, each: GpuClass, now: Millis) -> None:
        begun = any(p.effective_time <= now for p in each.spec.prices)
        ready = (
            (Status.TRUE, "Offered", "the class can be claimed")
            if begun
            else (
                Status.FALSE,
                "NoPrice",
                "no price holds yet; add one with an earlier effectiveTime",
            )
        )
        await self._plain(CLASSES, each, ready, self._tally.classes[each.metadata.name], now)

    async def _tenant(self, each: GpuTenant, now: Millis) -> None:
        owners = tenants_by_namespace(self._state.tenants.all())
        taken = [n for n in each.spec.namespaces if owners[n].metadata.uid != each.metadata.uid]
        ready = (
            (
                Status.FALSE,
                "NamespaceTaken",
                f"namespace {taken[0]} belongs to another tenant already",
            )
            if taken
            else (
                Status.TRUE,
                "Suspended",
                f"as asked, its claims hold nothing and none is served{self._lacking(each)}",
            )
            if each.spec.suspended
            else (
                Status.TRUE,
                "Served",
                f"claims of its namespaces are served{self._lacking(each)}",
            )
        )
        await self._plain(TENANTS, each, ready, self._tally.tenants[each.metadata.uid], now)

    def _lacking(self, tenant: GpuTenant) -> str:
        """Name the classes of a tenant's spec that aren't there: they may come, but a misspelt limit is none."""
        classes = self._state.classes
        there = {x.metadata.name for x in classes.all()} | {x.key for x in classes.untaken()}
        lacking = sorted(
            f"{name} ({field})"
            for field, names in tenant.spec.class_names().items()
            for name in {*names} - there
        )
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        return f"; there is no class {', '.join(lacking[:_NAMED])}{more}" if lacking else ""

    async def _plain(
        self,
        kind: Kind,
        item: GpuClass | GpuTenant,
        ready: tuple[Status, str, str],
        using: int,
        now: Millis,
    ) -> None:
        if item.metadata.fault:
            ready = (Status.FALSE, SPEC_UNREAD, goes_on(item.metadata.fault))
        conditions = (
            _condition(item, "Ready", ready, now),
            _condition(item, "InUse", in_use(using), now),
            *(_zone(item, now) if isinstance(item, GpuTenant) else ()),
        )
        update = {"conditions": conditions, "observed_generation": item.metadata.generation}
        await self._write(kind, item, item.status.model_copy(update=update), in_use=using > 0)

    async def _write(
        self, kind: Kind, item: GpuClass | GpuLease | GpuTenant, status: _Status, *, in_use: bool
    ) -> None:
        """Write finalizer and status where they differ; outrun writes are left to the next pass.

        `status`: with our conditions alone; others' stay as they are.
        """
        meta, theirs = item.metadata, _theirs(item.status, status)
        status = status.model_copy(update={"conditions": (*status.conditions, *theirs)})
        found = _ours(item.status, theirs)
        finalizers = [f for f in meta.finalizers if f != IN_USE_FINALIZER]
        finalizers += [IN_USE_FINALIZER] if in_use else []
        patches: list[tuple[str, str, Any]] = []
        if status != item.status and not self._must_stand(meta.uid, found):
            patches.append(("status", "/status", status.model_dump(**_DUMP)))
        if sorted(finalizers) != sorted(meta.finalizers) and not (
            in_use and meta.deletion_timestamp
        ):
            patches.append(("", "/metadata/finalizers", finalizers))
        version = meta.resource_version
        for subresource, path, value in patches:
            patch: JsonPatch = [
                {"op": "test", "path": "/metadata/uid", "value": meta.own_uid},
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "add", "path": path, "value": value},
            ]
            try:
                send = partial(self._hub.patch, kind.path("", meta.name, subresource), patch)
                answer = await self._send(kind, meta.name, version, send)
            except KubeError:
                self._contest.doubt(meta.uid)
                return
            if answer is None:
                return
            version = answer["metadata"]["resourceVersion"]
            self._state.shelf(kind.plural).take(answer)
            if subresource:
                # not what the shelf has now: another's word may have come before the answer
                written = type(status).model_validate(answer.get("status") or value)
                self._contest.wrote(meta.uid, found, _ours(written, theirs))

    async def _unread(self, kind: Kind, each: Unread, now: Millis) -> None:
        """Tell an object that can't be read what is wrong with it."""
        patch = told_patch(each, now)
        if patch is None:
            return
        send = partial(self._hub.patch, kind.path("", each.key, "status"), patch)
        await self._tell(kind, each, send)

    async def _unread_claim(self, each: Unread, now: Millis) -> None:
        """Tell a claim that can't be read what is wrong with it."""
        body = told_claim(each, now)
        if body is not None:
            meta = body["metadata"]
            path = CLAIMS.path(meta["namespace"], meta["name"], "status")
            await self._tell(CLAIMS, each, partial(self._hub.replace, path, body))

    async def _tell(self, kind: Kind, each: Unread, send: _Sending) -> None:
        """Send what it is told, but not at once where another operator, which can read it, takes it back."""
        key, found = word_key(each), words_in(each.body)
        if self._must_stand(key, found):
            return
        with suppress(KubeError):
            version = str(part(each.body, "metadata").get("resourceVersion"))
            answer = await self._send(kind, each.key, version, send)
            if answer is not None:
                self._state.shelf(kind.plural).take(answer)
                self._contest.wrote(key, found, words_in(answer))

    async def _send(
        self, kind: Kind, name: str, version: str, send: _Sending
    ) -> Mapping[str, Any] | None:
        """Send a compare-and-set; None if it was outrun or refused. KubeError if nobody knows; what failed is due again."""
        async with self._slots:
            try:
                return await send()
            except (Conflict, Invalid) as error:
                # a test that failed names no object; a webhook may refuse by either
                is_refused = isinstance(error, Invalid) and error.details.get("name")
                if is_refused or await self._read_anew(kind, name) == version:
                    self._put_off(kind.name, name, error)
                return None
            except NotFound:
                self._state.doubted.set()
                return None
            except KubeError as error:
                self._put_off(kind.name, name, error)
                raise

    async def _read_anew(self, kind: Kind, key: str) -> str | None:
        """Read what outran a write: if its watch lost that, no pass would ever see the newer object. Return its version."""
        try:
            found = await read_anew(self._hub, self._state, kind, key)
        except KubeError as error:
            self._put_off(kind.name, key, error)
            return None
        if found is None:
            self._state.doubted.set()
        return found

    def _must_stand(self, uid: str, found: object) -> bool:
        seconds = self._contest.wait_seconds(uid, found)
        if seconds > 0:
            self._look_again(seconds)
        return seconds > 0

    def _put_off(self, kind: str, key: str, error: KubeError) -> None:
        log_about_object(kind, key).warning("status not written", error=str(error))
        self._look_again(_RETRY_SECONDS)

    def _look_again(self, seconds: float) -> None:
        due_ms = Millis(self._clock.now_ms() + ceil(seconds * MS_PER_SECOND))
        self.due_ms = due_ms if self.due_ms is None else min(self.due_ms, due_ms)


def _theirs(before: _Status, status: _Status) -> tuple[Condition, ...]:
    """Return the conditions that others gave an object, as far as there is room beside ours."""
    own = {c.type for c in status.conditions} | _NOW_AND_THEN
    others = tuple(c for c in before.conditions if c.type not in own)
    return others[: max(0, _MOST_CONDITIONS - len(status.conditions))]


def _ours(status: _Status, theirs: Iterable[Condition]) -> _Status:
    """Return what nobody else writes: what claims left is listed one by one (see lease_lists)."""
    others = {c.type for c in theirs}
    update: dict[str, Any] = {
        "conditions": tuple(c for c in status.conditions if c.type not in others)
    }
    if isinstance(status, LeaseStatus):
        update["leftovers"] = ()
    return status.model_copy(update=update)


def _condition(
    item: GpuClass | GpuLease | GpuTenant, type_: str, found: tuple[Status, str, str], now: Millis
) -> Condition:
    before = find_condition(item.status.conditions, type_)
    return next_condition(type_, found, before, item.metadata.generation, now)


def _zone(item: GpuLease | GpuTenant, now: Millis) -> tuple[Condition, ...]:
    """Return what is said of a time zone that doesn't exist: nothing while it does."""
    name = item.spec.billing.time_zone
    if zone_exists(name):
        return ()
    text = f"there is no time zone {name}: days and months are cut in UTC until spec.billing.timeZone is one"
    return (_condition(item, "TimeZoneUnknown", (Status.TRUE, "NoSuchZone", text), now),)


def _without(conditions: tuple[Condition, ...], type_: str) -> tuple[Condition, ...]:
    return tuple(c for c in conditions if c.type != type_)
