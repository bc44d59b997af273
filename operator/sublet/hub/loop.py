"""The loop: wait for changes, snapshot, plan, dispatch. The one place where decisions become work.

Decisions come from the book over a snapshot and never read the API; the binder and the writer carry them out and never
decide. A reservation, a move or another end that is under way is assumed in the next snapshot until its write has
answered, so nothing is planned twice while the hub is still being told.
"""

from collections.abc import Callable, Iterable

import structlog

from sublet.api.approval import approved_gpus
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID
from sublet.api.times import Millis
from sublet.binder.binder import Binder
from sublet.book.decisions import (
    CutOver,
    Decision,
    Extend,
    Fail,
    Notice,
    Plan,
    Relocate,
    Reserve,
    Silence,
    Take,
)
from sublet.book.holdings import holds
from sublet.book.lost import lost_uids
from sublet.book.options import next_lapse_ms
from sublet.book.view import View
from sublet.book.warm import Book
from sublet.clock import Clock
from sublet.drift.engine import Drift
from sublet.fleet.conditions import expiring_from_ms
from sublet.fleet.registry import Fleet
from sublet.hub.accounts import Accounts
from sublet.hub.adoption import Adoption
from sublet.hub.aftermath import Aftermath
from sublet.hub.assumed import Assumptions
from sublet.hub.batcher import Batcher
from sublet.hub.bookkeeper import Bookkeeper
from sublet.hub.connections import Connections
from sublet.hub.held import Held
from sublet.hub.in_cluster import HubIdentity
from sublet.hub.meter import ClaimMeter, needs_meter
from sublet.hub.recorder import Recorder
from sublet.hub.returns import Returns
from sublet.hub.state import HubState
from sublet.hub.teller import ClaimTeller, Saying
from sublet.hub.unread import is_caught_up, kept_holders, namespaces_of_unread
from sublet.hub.unrest import Unrest
from sublet.hub.writer import StatusWriter
from sublet.logs import log_about

_FIRST_ANSWER_SECONDS = 10.0
_STANDBY_MS = 1_000
_READING_MS = 100
_SURGE_CLAIMS = 100
"""While so many are being bound, another plan can wait: it would only take the loop's time from them."""
_REST_SHARE = 20
_LONGEST_REST_SECONDS = 3.0


class Loop:
    """Plans whenever something changed, and keeps fleet, ledger and statuses in line."""

    def __init__(
        self,
        *,
        state: HubState,
        fleet: Fleet,
        binder: Binder,
        writer: StatusWriter,
        teller: ClaimTeller,
        meter: ClaimMeter,
        bookkeeper: Bookkeeper,
        accounts: Accounts,
        adoption: Adoption,
        returns: Returns,
        drift: Drift,
        aftermath: Aftermath,
        held: Held,
        own: HubIdentity,
        batcher: Batcher,
        clock: Clock,
        leads: Callable[[], bool],
        took: Callable[[float], None],
        record: Recorder,
        default_tenant: str | None,
        token_life_seconds: int,
    ) -> None:
        self._state = state
        self._fleet = fleet
        self._binder = binder
        self._writer = writer
        self._teller = teller
        self._meter = meter
        self._bookkeeper = bookkeeper
        self._accounts = accounts
        self._adoption = adoption
        self._returns = returns
        self._drift = drift
        self._aftermath = aftermath
        self._held = held
        self._batcher = batcher
        self._clock = clock
        self._leads = leads
        self._took = took
        self._record = record
        self._default_tenant = default_tenant
        self._assumed = Assumptions()
        self._book = Book()
        self._untold: set[ClaimUID] = (
            set()
        )  # claims that were to be told something while work on them was under way
        self._unrest = Unrest(state.claims, token_life_seconds)
        self._began: float | None = None
        self._connections = Connections(state, fleet, own)

    async def run(self) -> None:
        """Look whenever something changed or is due, for ever; a pass that fails is logged and made again."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001  one bad pass must not end the operator
                structlog.get_logger().exception("pass failed")
                self._book.forget()  # what it decided may not have been begun, or told
                self._batcher.look_at(Millis(self._clock.now_ms() + 1_000))
            await self._batcher.wait()

    async def look(self) -> None:
        """Make one pass."""
        if not self._state.synced:
            return
        if self._began is None:
            self._began = self._clock.monotonic()
        await self._connections.keep()
        if not self._leads():
            self._let_go()
            self._writer.follow()
            self._teller.let_go()
            # what was marked must not be forgotten: this replica may lead again in a moment
            self._book.forget()  # meanwhile another one decides, and tells claims otherwise
            self._batcher.look_at(Millis(self._clock.now_ms() + _STANDBY_MS))
            return
        if self._fleet.is_being_read() and not self._is_late():
            # decided on half a list, all would be decided again with the next page
            self._batcher.look_at(Millis(self._clock.now_ms() + _READING_MS))
            return
        begun = self._clock.monotonic()
        if self._teller.missed():
            self._book.forget()
        view = self._view()
        made = self._book.plan(view)
        self._took(self._clock.monotonic() - begun)
        self._record(view, made, is_full=self._book.is_full)
        sayings = self._dispatch(made)
        for place in made.unseen:
            if (cluster := self._fleet.cluster(LeaseUID(place.lease_uid))) is not None:
                cluster.look_for(NodeName(place.node), NodeUID(place.node_uid))
        restless = self._tend()
        self._adoption.tend(self._state.leases.all(), self._drift.is_kept_for_another)
        self._returns.tend(self._state.leases.all())
        self._drift.tend(self._state.leases.all())
        of_drift = self._of_drift(made)
        self._aftermath.tend(self._state.leases.all())
        self._held.tend()
        self._bookkeeper.tend(restless)
        self._accounts.tend(view.tenants)
        if len(view.busy) > _SURGE_CLAIMS:
            busy_seconds = self._clock.monotonic() - begun
            self._batcher.rest(min(_LONGEST_REST_SECONDS, _REST_SHARE * busy_seconds))
        if not self._knows_enough():
            # neither a lease nor a ledger that was never asked yet is a reason to tell anybody; ends are read from the hub alone
            sayings, of_drift = [each for each in sayings if isinstance(each[1], Notice)], []
            self._book.forget()
        self._teller.tell(sayings, is_all=self._book.is_full)
        self._teller.mention(of_drift)
        self._teller.acknowledge(self._left_alone(restless, made))
        self._writer.tend()
        self._batcher.look_at(self._next_due(made))

    def _knows_enough(self) -> bool:
        """Say whether the ledger and every leased cluster have answered once, or had their time to."""
        return self._is_late() or (self._accounts.settled and self._fleet.is_settled())

    def _is_late(self) -> bool:
        """Say whether what was never heard since the first look had its time to be."""
        now = self._clock.monotonic()
        return self._began is not None and now - self._began > _FIRST_ANSWER_SECONDS

    def idle(self, uid: ClaimUID) -> None:
        """Take note that the binder is done with a claim."""
        self._assumed.forget(uid)
        if uid in self._untold:
            self._untold.discard(uid)
            self._book.forget()
        self._unrest.look_at(uid)
        self._batcher.mark()

    def _view(self) -> View:
        claims = self._state.claims.by_uid()
        self._assumed.lay_over(claims)
        return View(
            now_ms=self._clock.now_ms(),
            claims=tuple(claims.values()),
            leases=self._state.leases.all(),
            classes=self._state.classes.all(),
            tenants=self._state.tenants.all(),
            priorities=dict(self._state.priorities),
            inventories=self._fleet.inventories(),
            approved=_approvals(claims.values()),
            busy=self._binder.busy,
            accounts=self._accounts.known.accounts,
            usage=self._accounts.known.usage,
            default_tenant=self._default_tenant,
            unread_tenants=namespaces_of_unread(self._state.tenants.unread()),
            unread=kept_holders(self._state.claims),
        )

    def _dispatch(self, made: Plan) -> list[tuple[GpuClaim, Saying]]:
        """Hand decisions to the binder; return those that claims are only told."""
        sayings: list[tuple[GpuClaim, Saying]] = []
        for decision in made.decisions:
            claim = self._state.claims.get(decision.claim_uid)
            if claim is None:
                continue
            if self._is_blocked(claim, decision):
                self._put_off(decision)
                continue
            if isinstance(decision, Saying):
                sayings.append((claim, self._told_now(claim, decision)))
            else:
                self._begin(claim, decision)
        return sayings

    def _begin(
        self, claim: GpuClaim, decision: Reserve | Take | Extend | CutOver | Relocate
    ) -> None:
        """Start the work of a decision, and assume what will be."""
        if isinstance(decision, Reserve):
            if self._binder.reserve(claim, decision):
                self._assumed.reserve(claim, decision)
        elif isinstance(decision, Take):
            self._binder.take(claim, decision)
        elif isinstance(decision, Extend):
            if self._binder.extend(claim, decision):
                self._assumed.extend(claim, decision, self._clock.now_ms())
        elif isinstance(decision, CutOver):
            self._binder.cut_over(claim, decision)
        elif self._binder.relocate(claim, decision):
            self._assumed.relocate(claim, decision)

    def _told_now(self, claim: GpuClaim, saying: Saying) -> Saying:
        """Return what a claim is told in this pass: it forgets no time of which the ledger may lack a line."""
        if isinstance(saying, Silence | Fail) and not self._meter.is_settled(claim):
            return saying.lossless
        return saying

    def _of_drift(self, made: Plan) -> list[tuple[GpuClaim, Saying]]:
        """Return what claims are told of drift, where the book has nothing to say and nothing is under way."""
        decided = {d.claim_uid for d in made.decisions}
        return [
            (claim, saying)
            for claim, saying in self._drift.news.sayings(self._state.claims.get)
            if saying.claim_uid not in decided and not self._binder.is_busy(saying.claim_uid)
        ]

    def _put_off(self, decision: Decision) -> None:
        self._unrest.look_at(decision.claim_uid)
        if isinstance(decision, Saying):
            self._untold.add(decision.claim_uid)

    def _is_blocked(self, claim: GpuClaim, decision: Decision) -> bool:
        """Say whether a decision must wait: work is under way, or the last term's lines aren't in the ledger."""
        if isinstance(decision, Take):
            return False
        if self._binder.is_busy(decision.claim_uid):
            return True
        return (
            isinstance(decision, Reserve)
            and claim.status.release is not None
            and not self._meter.is_settled(claim)
        )

    def _tend(self) -> list[GpuClaim]:
        """Start what claims ask for; return those that may need something more."""
        self._unrest.note_lost(lost_uids(self._state.leases.all()))
        restless = self._unrest.claims(self._clock.now_ms())
        self._let_go()
        started = {c.metadata.uid for c in restless if self._is_started(c)}
        self._unrest.settle(lambda c: c.metadata.uid not in started and self._is_at_rest(c))
        return restless

    def _let_go(self) -> None:
        """Forget claims that are gone, also while another replica leads."""
        for uid in self._unrest.let_go():
            self._binder.forget(uid)

    def _is_started(self, claim: GpuClaim) -> bool:
        """Start what one claim asks for; return whether anything was. What goes wrong with it holds up no other."""
        if self._binder.is_busy(ClaimUID(claim.metadata.uid)):
            return False
        try:
            return self._binder.tend(claim)
        except Exception:  # noqa: BLE001  whatever somebody wrote into its status
            log_about(claim=claim).exception("claim not tended")
            self._unrest.look_at(claim.metadata.uid)
            return True  # as one at which something is left to do

    def _is_at_rest(self, claim: GpuClaim) -> bool:
        """Say whether nothing is under way for a claim, its lines are in the ledger, and its status is up to date."""
        return not (
            self._binder.is_busy(ClaimUID(claim.metadata.uid))
            or self._binder.is_asked_for(claim)
            or (needs_meter(claim) and not self._meter.is_settled(claim))
            or (holds(claim) and not is_caught_up(claim))
        )

    def _left_alone(self, claims: Iterable[GpuClaim], made: Plan) -> list[GpuClaim]:
        """Return the claims that hold GPUs and for which nothing was decided and nothing is under way."""
        decided = {d.claim_uid for d in made.decisions}
        return [
            c
            for c in claims
            if holds(c)
            and c.metadata.uid not in decided
            and not self._binder.is_busy(ClaimUID(c.metadata.uid))
        ]

    def _next_due(self, made: Plan) -> Millis | None:
        now = self._clock.now_ms()
        expiring = [
            at for x in self._state.leases.all() if (at := expiring_from_ms(x)) and at > now
        ]
        steps = [x.status.outlook[0].time for x in self._state.leases.all() if x.status.outlook]
        steps += [at for x in self._state.leases.all() if (at := next_lapse_ms(x, now))]
        words = (x.spec.lost.time for x in self._state.leases.all() if x.spec.lost is not None)
        steps += [at for at in words if at > now]
        unknown = None if self._knows_enough() else now
        due: Iterable[Millis | None] = (
            made.next_due_ms,
            self._binder.due_ms,
            self._bookkeeper.due_ms,
            self._adoption.due_ms,
            self._returns.due_ms,
            self._fleet.due_ms,
            self._drift.due_ms,
            self._aftermath.due_ms,
            self._held.due_ms,
            unknown,
            self._unrest.next_renewal_ms(),
            *expiring,
            *(at for at in steps if at > now),
        )
        # what is overdue is looked at again soon, never in a loop
        return min(
            (at if at > now else Millis(now + 1_000) for at in due if at is not None), default=None
        )


def _approvals(claims: Iterable[GpuClaim]) -> dict[ClaimUID, int]:
    """Return claim -> GPUs that a person approved for it."""
    found = ((ClaimUID(c.metadata.uid), approved_gpus(c)) for c in claims)
    return {uid: gpus for uid, gpus in found if gpus}
