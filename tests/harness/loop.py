"""A loop whose parts only take note of what they are told: for tests of what it does with which decision."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sublet.api.downtime import Downtime
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import Millis
from sublet.book.decisions import Extend, Fail, Plan, Reserve
from sublet.book.inventory import LeaseInventory, NodeState
from sublet.book.view import View
from sublet.fleet.credential import Credential
from sublet.fleet.registry import Fleet
from sublet.hub.accounts import Known
from sublet.hub.batcher import Batcher
from sublet.hub.loop import Loop
from sublet.hub.state import HubState
from sublet.hub.teller import ClaimTeller
from sublet.kube.errors import KubeError
from tests.builders.api import NOW, as_class, as_lease, as_tenant
from tests.builders.fleet import inventory, nodes
from tests.harness.fake_api import SteppedClock

WEST = as_lease()
NODES = nodes(WEST, 4)


class Recording:
    """Stands for all that the loop drives, and notes what it is told."""

    def __init__(self) -> None:
        self.tended: list[str] = []
        self.reserved: list[str] = []
        self.extended: list[str] = []
        self.forgotten: list[str] = []
        self.followed = 0
        self.busy: frozenset[str] = frozenset()
        self.due_ms: Millis | None = None
        self.known = Known()
        self.full: list[bool] = []
        self.said: list[tuple[str, str]] = []
        self.misses = False
        self.told_all: list[bool] = []
        self.let_gos = 0
        self.stumbles_over = ""
        self.begins = ""
        """The claim that work begins for where it is tended next."""
        self.fails: Exception | None = None
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

    def extend(self, claim: GpuClaim, decision: Extend) -> bool:
        self.extended.append(claim.metadata.name)
        self.busy |= {decision.claim_uid}
        return True

    def follow(self) -> None:
        self.followed += 1

    def forget(self, uid: str) -> None:
        self.forgotten.append(uid)

    def is_kept_for_another(self, *_: Any) -> bool:
        return False

    def tend(self, item: Any = None, *_: Any) -> bool:
        if self.fails is not None:
            raise self.fails
        if isinstance(item, GpuClaim):
            self.tended.append(item.metadata.name)
            if item.metadata.name == self.stumbles_over:
                raise ValueError("a status that nobody wrote")
            if item.metadata.uid == self.begins:
                self.begins = ""
                self.busy |= {ClaimUID(item.metadata.uid)}
                return True
        return False

    def is_settled(self, _: Any) -> bool:
        return self.is_written

    def record(self, _: View, __: Plan, *, is_full: bool) -> None:
        self.full.append(is_full)

    def missed(self) -> bool:
        return self.misses

    def tell(self, sayings: Any, *, is_all: bool) -> None:
        self.told_all.append(is_all)
        self.said += [(c.metadata.name, type(saying).__name__) for c, saying in sayings]
        failed = [saying for _, saying in sayings if isinstance(saying, Fail)]
        self.downtimes += [saying.downtimes for saying in failed]

    def mention(self, _: Any) -> None: ...

    def acknowledge(self, _: Any) -> None: ...

    def let_go(self) -> None:
        self.let_gos += 1


class OneLease(Fleet):
    """A fleet of one lease that is there."""

    reads = False
    broken = ""
    nodes: Sequence[NodeState] = ()

    def is_being_read(self) -> bool:
        return self.reads

    def inventories(self) -> Mapping[LeaseUID, LeaseInventory]:
        return {LeaseUID(WEST.metadata.uid): inventory(WEST, self.nodes or NODES)}

    async def engage(self, lease: GpuLease, credential: Credential) -> None:
        if lease.metadata.name == self.broken:
            raise KeyError("very-secret")


class WordlessHub:
    """Takes no status: it refuses, or never answers."""

    def __init__(self, fault: KubeError | None) -> None:
        self.tries = 0
        self._fault = fault

    async def patch(self, *_: Any) -> GpuClaim:
        return await self.write_status()

    async def write_status(self, *_: Any) -> GpuClaim:
        self.tries += 1
        if self._fault is None:
            await asyncio.Event().wait()
        raise self._fault or AssertionError


def recording_loop(leads: Callable[[], bool] = lambda: True) -> tuple[Loop, HubState, Recording]:
    """Return a loop with one lease of four nodes, the hub's state behind it, and what notes what it is told."""
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
        leads=leads,
        took=lambda _: None,
        record=told.record,
        default_tenant=None,
        token_life_seconds=600,
    )
    return loop, state, told


def teach(
    loop: Any, state: HubState, claims: Any, is_busy: Callable[[ClaimUID], bool] = lambda _: False
) -> ClaimTeller:
    """Give a loop a real teller that writes by `claims`."""
    nobody: Any = None
    teller = ClaimTeller(state, claims, nobody, loop._clock, is_busy=is_busy)
    loop._teller = teller
    return teller


def parts(loop: Any) -> tuple[Any, Any]:
    """Return the loop's fleet and clock."""
    return loop._fleet, loop._clock


def due(loop: Any) -> Millis | None:
    """Return when the loop looks again if nothing happens."""
    found: Millis | None = loop._batcher._due_ms
    return found
