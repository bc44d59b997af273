"""What the loop does when it may not write, and what it leaves alone when it may."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sublet.api.downtime import MOST_DOWNTIMES, Downtime, DowntimeCause
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import Millis
from sublet.book.decisions import Fail, Plan, Reserve
from sublet.book.inventory import LeaseInventory, NodeState
from sublet.book.view import View
from sublet.fleet.credential import Credential
from sublet.fleet.registry import Fleet
from sublet.hub.accounts import Known
from sublet.hub.batcher import Batcher
from sublet.hub.loop import Loop
from sublet.hub.state import HubState
from tests.builders.api import NOW, as_claim, as_class, as_lease, as_tenant, claim
from tests.builders.fleet import bound, held, inventory, nodes
from tests.harness.fake_api import SteppedClock


async def test_a_mark_that_comes_while_another_leads_is_looked_at_again():
    clock = SteppedClock()
    batcher = Batcher(clock, quiet_seconds=0.01, wait_seconds=0.1)
    state = HubState(batcher.mark)
    state.synced = True
    nobody: Any = None
    loop = Loop(
        state=state,
        fleet=Fleet(clock=clock, on_change=lambda _: None, allow_local=False, hub_servers=[]),
        binder=nobody,
        teller=nobody,
        writer=nobody,
        meter=nobody,
        bookkeeper=nobody,
        accounts=nobody,
        adoption=nobody,
        returns=nobody,
        drift=nobody,
        aftermath=nobody,
        held=nobody,
        own=nobody,
        batcher=batcher,
        clock=clock,
        leads=lambda: False,
        took=nobody,
        record=nobody,
        default_tenant=None,
        token_life_seconds=600,
    )
    batcher.look_at(Millis(2**60))

    await loop.look()
    clock.seconds += 1
    await asyncio.wait_for(batcher.wait(), 5)


class Recording:
    """Stands for all that the loop drives, and notes what it is told."""

    def __init__(self) -> None:
        self.tended: list[str] = []
        self.reserved: list[str] = []
        self.forgotten: list[str] = []
        self.busy: frozenset[str] = frozenset()
        self.due_ms: Millis | None = None
        self.known = Known()
        self.full: list[bool] = []
        self.said: list[tuple[str, str]] = []
        self.tells = True
        self.acknowledges = True
        self.settled = True
        self.is_written = True
        self.downtimes: list[tuple[Downtime, ...]] = []

    @property
    def news(self) -> "Recording":
        return self

    def sayings(self, _: Any) -> list[Any]:
        return []

    def is_asked_for(self, _: GpuClaim) -> bool:
        return False

    def is_busy(self, uid: str) -> bool:
        return uid in self.busy

    def reserve(self, claim: GpuClaim, decision: Reserve) -> bool:
        self.reserved.append(claim.metadata.name)
        self.busy |= {decision.claim_uid}
        return True

    def forget(self, uid: str) -> None:
        self.forgotten.append(uid)

    def tend(self, item: Any = None) -> bool:
        if isinstance(item, GpuClaim):
            self.tended.append(item.metadata.name)
        return False

    def is_settled(self, _: Any) -> bool:
        return self.is_written

    def record(self, _: View, __: Plan, *, is_full: bool) -> None:
        self.full.append(is_full)

    async def tell(self, sayings: Any) -> bool:
        if self.tells:
            self.said += [(c.metadata.name, type(saying).__name__) for c, saying in sayings]
            failed = [saying for _, saying in sayings if isinstance(saying, Fail)]
            self.downtimes += [saying.downtimes for saying in failed]
        return self.tells

    async def acknowledge(self, _: Any) -> bool:
        return self.acknowledges

    async def write_all(self) -> None: ...


class OneLease(Fleet):
    """A fleet of one lease that is there."""

    reads = False
    nodes: Sequence[NodeState] = ()

    def is_being_read(self) -> bool:
        return self.reads

    def inventories(self) -> Mapping[LeaseUID, LeaseInventory]:
        return {LeaseUID(WEST.metadata.uid): inventory(WEST, self.nodes or NODES)}

    async def engage(self, lease: GpuLease, credential: Credential) -> None: ...


WEST = as_lease()
NODES = nodes(WEST, 4)


def running() -> tuple[Loop, HubState, Recording]:
    clock = SteppedClock()
    clock.seconds = NOW / 1_000
    batcher = Batcher(clock, quiet_seconds=0.01, wait_seconds=0.1)
    state = HubState(batcher.mark)
    state.synced = True
    for shelf, item in (
        (state.leases, WEST),
        (state.classes, as_class()),
        (state.tenants, as_tenant()),
    ):
        shelf.put(item)
    told: Any = Recording()
    fleet = OneLease(clock=clock, on_change=lambda _: None, allow_local=False, hub_servers=[])
    loop = Loop(
        state=state,
        fleet=fleet,
        binder=told,
        teller=told,
        writer=told,
        meter=told,
        bookkeeper=told,
        accounts=told,
        adoption=told,
        returns=told,
        drift=told,
        aftermath=told,
        held=told,
        own=told,
        batcher=batcher,
        clock=clock,
        leads=lambda: True,
        took=lambda _: None,
        record=told.record,
        default_tenant=None,
        token_life_seconds=600,
    )
    return loop, state, told


def parts(loop: Any) -> tuple[Any, Any]:
    """Return the loop's fleet and clock."""
    return loop._fleet, loop._clock


def due(loop: Any) -> Millis | None:
    """Return when the loop looks again if nothing happens."""
    found: Millis | None = loop._batcher._due_ms
    return found


async def test_a_reservation_under_way_is_assumed_and_new_claims_are_decided_beside_it():
    loop, state, told = running()
    for name in ("a", "b", "c"):
        state.claims.put(as_claim(claim(name)))
        await loop.look()
    assert told.reserved == ["a", "b", "c"]
    assert told.full == [True, False, False]


async def test_a_claim_that_went_without_us_is_forgotten_by_those_who_worked_on_it():
    loop, state, told = running()
    gone = as_claim(claim("a"))
    state.claims.put(gone)
    await loop.look()
    state.claims.drop(gone.metadata.uid)
    await loop.look()
    await loop.look()

    assert told.forgotten == [gone.metadata.uid]


async def test_while_the_first_list_of_a_cluster_comes_nothing_is_decided_but_not_for_long():
    loop, state, told = running()
    state.claims.put(as_claim(claim("a")))
    fleet, clock = parts(loop)
    fleet.reads = True

    await loop.look()
    assert told.reserved == []

    clock.seconds += 11  # a list without end holds up nobody for longer
    await loop.look()
    assert told.reserved == ["a"]


async def test_a_cluster_that_is_read_later_holds_up_nobody():
    loop, state, told = running()
    fleet, clock = parts(loop)
    await loop.look()
    clock.seconds += 11
    state.claims.put(as_claim(claim("a")))
    fleet.reads = True

    await loop.look()

    assert told.reserved == ["a"]


async def test_a_claim_at_rest_is_left_alone_until_it_changes_or_work_on_it_ends():
    loop, state, told = running()
    suspended = as_claim(claim("a", suspended=True))
    state.claims.put(suspended)
    await loop.look()
    await loop.look()
    assert told.tended == ["a"]
    loop.idle(ClaimUID(suspended.metadata.uid))
    await loop.look()
    assert told.tended == ["a", "a"]


async def test_what_could_not_be_written_is_said_again_soon():
    loop, state, told = running()
    state.claims.put(as_claim(claim("a", suspended=True)))
    told.tells = False
    await loop.look()
    told.tells = True
    await loop.look()
    await loop.look()
    assert told.said == [("a", "Refuse")]
    assert told.full == [True, True, False]


async def test_what_could_not_be_acknowledged_is_looked_at_again_soon():
    loop, _, told = running()
    _, clock = parts(loop)
    told.acknowledges = False
    await loop.look()
    assert due(loop) == clock.now_ms() + 1_000

    told.acknowledges = True
    await loop.look()
    assert due(loop) != clock.now_ms() + 1_000


async def test_a_status_that_a_hub_in_trouble_did_not_take_is_looked_at_again():
    loop, _, _ = running()
    _, clock = parts(loop)
    writer = Recording()
    writer.due_ms = Millis(clock.now_ms() + 5_000)
    loop._writer = writer  # type: ignore[assignment]  # what is asked of one
    await loop.look()

    assert due(loop) == clock.now_ms() + 5_000


async def test_what_is_not_said_before_all_have_answered_is_said_then():
    loop, state, told = running()
    state.claims.put(as_claim(claim("a", suspended=True)))
    told.settled = False
    await loop.look()
    assert told.said == []
    told.settled = True
    await loop.look()
    assert told.said == [("a", "Refuse")]


async def test_a_claim_that_work_is_under_way_for_is_told_when_it_ends():
    loop, state, told = running()
    waits = as_claim(claim("a", suspended=True))
    state.claims.put(waits)
    told.busy = frozenset({waits.metadata.uid})
    await loop.look()
    await loop.look()
    assert told.said == []
    assert told.full == [True, False]
    told.busy = frozenset()
    loop.idle(ClaimUID(waits.metadata.uid))
    await loop.look()
    assert told.said == [("a", "Refuse")]


def with_full_list() -> GpuClaim:
    """Return a bound claim with as many downtimes as its status has room for, all of them over."""
    stands = bound(held(as_claim(claim("a")), WEST, NODES[:1]))
    over = tuple(
        Downtime(
            sequence=1,
            lease_uid=WEST.metadata.uid,
            gpus=8,
            cause=DowntimeCause.NODE_GONE,
            from_time=NOW - 1_000 + at,
            until_time=NOW - 999 + at,
        )
        for at in range(MOST_DOWNTIMES)
    )
    status = stands.status.model_copy(update={"downtimes": over, "access": None})
    return stands.model_copy(update={"status": status})


async def test_a_downtime_that_finds_no_room_is_written_down_when_the_ledger_has_the_others():
    loop, state, told = running()
    fleet, _ = parts(loop)
    fleet.nodes = [replace(NODES[0], shows=0), *NODES[1:]]
    full = with_full_list()
    state.claims.put(full)
    told.is_written = False
    await loop.look()
    assert told.downtimes == [full.status.downtimes]

    told.is_written = True
    await loop.look()
    assert (told.full, told.downtimes[-1][-1].from_time) == ([True, True], NOW)
