"""The composition root: every part of the operator and how they are joined, on one page.

Life: settings -> ledger -> all of the hub is read -> wait for the Lease, while kopf feeds our state on every replica and
writes nothing -> the loop may dispatch. SIGTERM: stop planning, let the steps under way end, flush the ledger, give the Lease
up. Losing the Lease ends the process; whatever starts it again begins anew.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

import structlog
from aiohttp import web

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.binder.binder import Binder
from sublet.binder.claims import ClaimWriter
from sublet.binder.dropped import DroppedFields
from sublet.binder.ports import Tools
from sublet.binder.slots import Promises, Slots
from sublet.book.coarse import Detail
from sublet.clock import Clock, SystemClock
from sublet.drift.behind import Behind
from sublet.drift.engine import Drift
from sublet.drift.sweeper import Sweeper
from sublet.fleet.probe import ProbeTimes
from sublet.fleet.registry import Fleet
from sublet.hub.accounts import Accounts
from sublet.hub.adoption import Adoption
from sublet.hub.aftermath import Aftermath
from sublet.hub.batcher import Batcher
from sublet.hub.bookkeeper import Bookkeeper
from sublet.hub.chronicle import Chronicle
from sublet.hub.events import HubEvents
from sublet.hub.feeders import credentials_informer, first_list, sweep_forever
from sublet.hub.held import Held
from sublet.hub.in_cluster import HubIdentity
from sublet.hub.leader import ELECTION_LIMITS, Leadership
from sublet.hub.lease_lists import HubLeaseLists
from sublet.hub.loop import Loop
from sublet.hub.marks import Marks
from sublet.hub.meter import ClaimMeter
from sublet.hub.observed import Memory
from sublet.hub.outlets import Outlets
from sublet.hub.rates import RatesFile
from sublet.hub.recorder import Recorder
from sublet.hub.returns import Returns
from sublet.hub.state import HubState
from sublet.hub.statements.keeper import Statements
from sublet.hub.statements.owners import owners_of
from sublet.hub.teller import ClaimTeller
from sublet.hub.writer import StatusWriter
from sublet.kube.errors import KubeError
from sublet.kube.identity import read_cluster_uid
from sublet.kube.session import ApiServer
from sublet.ledger.port import LedgerUnavailable
from sublet.serve.admin import Admin
from sublet.serve.auth import MetricsGate
from sublet.serve.books import LedgerBooks
from sublet.serve.claims import claims_of
from sublet.serve.server import Public, listen_as
from sublet.serve.timings import Timings
from sublet.settings import Settings
from sublet.store.sql import SqlLedger

STEP_PATIENCE_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 2.0


class Operator:
    """All parts of one running operator.

    kopf, the listeners (`listen`), the machine's clock and the database are its edges: a simulation leaves them out.
    """

    def __init__(
        self,
        settings: Settings,
        hub: ApiServer,
        clock: Clock | None = None,
        ledger: SqlLedger | None = None,
    ) -> None:
        self.settings, self.hub, self.clock = settings, hub, clock or SystemClock()
        self.batcher = Batcher(
            self.clock,
            quiet_seconds=settings.plan_quiet_seconds,
            wait_seconds=settings.plan_wait_seconds,
        )
        self.state = HubState(self.batcher.mark)
        self.fleet = Fleet(
            clock=self.clock,
            on_change=lambda _: self.batcher.mark(),
            allow_local=settings.allow_local_clusters,
            hub_servers=[hub.endpoint.server],
            times=ProbeTimes(
                every_seconds=settings.probe_seconds,
                isolation_seconds=settings.isolation_seconds,
                settle_seconds=settings.gpu_settle_seconds,
            ),
            may_change=self.leads,
        )
        hub.may_change = self.leads
        self.ledger = ledger or SqlLedger(settings.database_url)
        self.marks = Marks(self.ledger, self.state, self.clock, self._is_read)
        self.chronicle = Chronicle(
            self.ledger, self.clock, leases=self.state.leases.all, tenants=self.state.tenants.all
        )
        self.meter = ClaimMeter(self.ledger, self.marks, self.chronicle.records)
        self.bookkeeper = Bookkeeper(
            self.meter, self.clock, self.batcher.mark, self.marks, self.chronicle.tend
        )
        self.accounts = Accounts(
            self.ledger,
            self.clock,
            tenants=self.state.tenants.all,
            claims=self.state.claims.all,
            changed=self.batcher.mark,
            every_seconds=settings.accounts_seconds,
            half_life_seconds=settings.usage_half_life_seconds,
        )
        self.timings = Timings()
        self.rates = RatesFile(
            settings.rates_file, self.ledger, self.clock, self.timings.rates_refused
        )
        self.outlets = Outlets(settings, self.ledger, self.clock, self.leads, self.timings)
        self.statements = Statements(
            hub,
            self.ledger,
            self.clock,
            every_seconds=settings.statement_seconds,
            close_after_days=settings.close_after_days,
            owners=lambda: owners_of(self.state.tenants, settings.default_tenant),
            failing=self.timings.statements_failing,
        )
        self.events = HubEvents(hub, self.clock, settings.identity)
        # a connection of its own: of many that lead to a server that went dark each would cost a try
        self.election = ApiServer(hub.endpoint, ELECTION_LIMITS)
        self.leadership = Leadership(
            self.election,
            self.clock,
            namespace=settings.namespace,
            identity=settings.identity,
            lease_seconds=settings.lease_seconds,
        )
        self.claims = ClaimWriter(hub, DroppedFields(self.timings.fields_dropped, self.clock))
        self.tools = self._tools()
        self.binder = Binder(
            self.tools,
            on_claim=self.state.claims.put,
            on_gone=self._gone,
            on_idle=self._idle,
        )
        self.adoption = Adoption(self.fleet.cluster, self.clock, self.batcher.mark)
        self.returns = Returns(
            self.fleet.cluster, self.clock, self.batcher.mark, self.adoption.is_adopting
        )
        self.behind = Behind(hub, self.ledger)
        self.drift = Drift(
            cluster=self.fleet.cluster,
            claims=self.state.claims.all,
            claim=self.state.claims.get,
            awaited=self.state.claims.awaited,
            binder=self.binder,
            tools=self.tools,
            sweeper=Sweeper(
                self.tools,
                self.ledger,
                lambda: self.fleet.hub_uid,
                begun=self.accounts.begun,
                known=self.state.claims.uids,
                behind=self.behind,
            ),
            changed=self.batcher.mark,
            every_seconds=settings.drift_seconds,
        )
        self.own = HubIdentity(
            hub,
            settings.namespace,
            self.batcher.mark,
            tenant_server=settings.hub_tenant_server,
        )
        self.writer = StatusWriter(
            hub,
            self.state,
            self.fleet,
            self.clock,
            lived_ms=self._lived_ms,
            marked=self.returns.marked,
        )
        self.aftermath = Aftermath(
            self.tools, self.state.claims, self.fleet.connection, self.batcher.mark
        )
        self.held = Held(
            self.claims,
            lambda: tuple(self.state.claims.restored.values()),
            self.clock,
            self.batcher.mark,
            self.state.doubted.set,
        )
        self.teller = ClaimTeller(
            self.state, self.claims, self.events, self.clock, Detail(settings.refusal_detail), is_busy=self.binder.is_busy,
        )  # fmt: skip
        self.recorder = Recorder(Path(settings.record_directory), settings.record_passes)
        self.loop = Loop(
            state=self.state,
            fleet=self.fleet,
            teller=self.teller,
            binder=self.binder,
            writer=self.writer,
            meter=self.meter,
            bookkeeper=self.bookkeeper,
            accounts=self.accounts,
            adoption=self.adoption,
            returns=self.returns,
            drift=self.drift,
            aftermath=self.aftermath,
            held=self.held,
            own=self.own,
            batcher=self.batcher,
            clock=self.clock,
            leads=self.leads,
            took=self.timings.planned,
            record=self.recorder,
            default_tenant=settings.default_tenant,
            token_life_seconds=settings.token_life_seconds,
        )
        self.memory = Memory(
            self.state,
            self.fleet,
            self.accounts,
            self.leads,
            lambda: self.leadership.hub_ahead_seconds,
        )
        retention = settings.metrics_retention_seconds
        self.books = LedgerBooks(self.ledger, retention_seconds=retention)
        self._tasks: list[asyncio.Task[Any]] = []
        self._runners: list[web.AppRunner] = []
        self.stop = asyncio.Event()

    def leads(self) -> bool:
        """Say whether this replica may write."""
        return not self.settings.leader_election or self.leadership.leads

    async def start(self) -> None:
        """Read the hub, start every task."""
        await self._try_ledger()
        await self._until_read()
        await self.behind.compare()
        secrets = credentials_informer(
            self.hub, self.settings.namespace, self.state, self.clock, self.batcher.mark
        )
        self._spawn(secrets.run())
        self._spawn(self.events.run())
        self._spawn(self.accounts.run())
        self._spawn(self.rates.run(self.leads))
        # whose a namespace is isn't known before all tenants were read
        self._spawn(self.statements.run(lambda: self.state.synced and self.leads()))
        self._spawn(self.chronicle.run())
        self._spawn(self.outlets.run())
        self._spawn(sweep_forever(self.hub, self.state, self.settings.relist_seconds))
        while not secrets.synced:  # noqa: ASYNC110  it is a property, not an event
            await asyncio.sleep(0.02)
        # not before: whoever holds the Lease and can't plan keeps everybody else from it
        if self.settings.leader_election:
            self._spawn(self.leadership.run())
        self._spawn(self.loop.run())
        structlog.get_logger().info("started", identity=self.settings.identity)

    async def follow_leadership(self) -> None:
        """Return once this replica has led and does no more: it never would again."""
        await self.leadership.gained.wait()
        structlog.get_logger().info("leading", identity=self.settings.identity)
        await self.behind.compare()
        self.batcher.mark()
        await self.leadership.lost.wait()
        structlog.get_logger().error("the Lease is lost: this process ends")

    async def close(self) -> None:
        """Stop planning, let the steps under way end, flush the ledger, give the Lease up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ending = (self.binder, self.teller, self.writer)
        await asyncio.gather(*(each.close(STEP_PATIENCE_SECONDS) for each in ending))
        await self.adoption.close()
        await self.returns.close()
        await self.drift.close()
        await self.aftermath.close()
        await self.held.close()
        await self.bookkeeper.close()
        await self.own.close()
        await self.ledger.close()
        if self.settings.leader_election:
            await self.leadership.give_up()
        await self.recorder.close()
        await self.fleet.close()
        for runner in self._runners:
            await runner.cleanup()
        await self.election.close()
        await self.hub.close()
        structlog.get_logger().info("stopped")

    async def listen(self, *, followed: Callable[[], bool]) -> None:
        """Open the listeners; `followed`: whether what changes on the hub is heard of."""
        settings = self.settings
        gate = MetricsGate(self.hub, self.clock) if settings.metrics_auth else None
        public = Public(
            self.memory, self.books, self.timings, self.clock,
            opened=lambda: self.ledger.opened, followed=followed, gate=gate, claims=claims_of(settings), opencost=settings.metrics_opencost,
        )  # fmt: skip
        admin = Admin(
            self.memory, self.ledger, self.books, self.clock, last_pass=self.recorder.last
        )
        self._runners += await listen_as(settings, public=public.app(), admin=admin.app())
        self._spawn(public.run())

    async def _try_ledger(self) -> None:
        """Open the ledger; one that is away or damaged holds up new binds and nothing else, now as later."""
        try:
            await self.ledger.start()
        except LedgerUnavailable as error:
            structlog.get_logger().error("ledger", error=str(error))

    async def _until_read(self) -> None:
        """Try until it works: an API server that is late is no reason to end."""
        while True:
            try:
                self.fleet.hub_uid = await read_cluster_uid(self.hub)
                return await first_list(self.hub, self.state)
            except KubeError as error:
                structlog.get_logger().warning("waiting", what="hub", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    def _is_read(self, lease_uid: LeaseUID) -> bool:
        """Say whether a lease's nodes were read, and can be."""
        found = self.fleet.connection(lease_uid)
        return found is not None and found.facts.synced

    def _lived_ms(self) -> Millis | None:
        """Return until when a leader before us surely saw what its statuses said: its last renewal, less what a probe takes to fail."""
        lived, settings = self.leadership.lived_ms, self.settings
        if lived is None:
            return None
        # a probe may take as long as the time between two of them
        unsure_seconds = 2 * ProbeTimes().failures * settings.probe_seconds
        return Millis(lived - int(unsure_seconds * MS_PER_SECOND))

    def _idle(self, uid: ClaimUID) -> None:
        self.loop.idle(uid)

    def _gone(self, claim: GpuClaim) -> None:
        self.state.claims.drop(claim.metadata.uid)
        self.meter.forget(claim.metadata.uid)

    def _tools(self) -> Tools:
        # lease UID -> bound on requests under way; whose lease is gone has none, and nobody holds its bound
        slots = WeakValueDictionary[LeaseUID, Slots]()

        def slots_of(uid: LeaseUID) -> Slots:
            return slots.setdefault(uid, Slots(self.settings.requests_per_cluster))

        return Tools(
            hub=self.hub,
            claims=self.claims,
            cluster=self.fleet.cluster,
            lease=self.state.leases.get,
            leases=self.state.leases.all,
            class_=self.state.classes.named,
            slots=slots_of,
            promises=Promises(),
            ledger=self.ledger,
            meter=self.meter,
            lists=HubLeaseLists(self.hub, self.state),
            events=self.events,
            steps=self.timings,
            clock=self.clock,
            token_life_seconds=self.settings.token_life_seconds,
            argocd_namespace=self.settings.argocd_namespace,
        )

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_say_fault)
        self._tasks.append(task)


def _say_fault(task: asyncio.Task[Any]) -> None:
    """Log what ended a part of the operator at once: else nobody heard of it before the operator is stopped, nor then."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        structlog.get_logger().error("a part of the operator ended", exc_info=fault)
