"""What a bound claim never gets on a hub that was put back to an older state: by the ledger it has ended, or went on elsewhere."""

from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import find_condition
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import MoveCause
from sublet.binder.claims import Outrun
from sublet.binder.ports import LostRace
from sublet.binder.work import Work, Works
from sublet.book.decisions import CutOver, Relocate
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from tests.builders.api import with_status
from tests.builders.clusters import Endings, NotedApi
from tests.builders.renewals import Setup
from tests.builders.replacing import EASTERN, Eastward, Written
from tests.builders.windows import at

MOVE = Eastward(EASTERN, home=2)
META = MOVE.moving.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
MOVING, UID = MOVE.moving.model_copy(update={"metadata": META}), META.uid
BEFORE = with_status(MOVING, move_status.unmoved(MOVING, at(20)))
READY = with_status(MOVING, move_status.ready_to_move(MOVING, None, at(21)))
OVER = "reservation 1 of this claim"


def ledger(knows: str) -> Endings:
    """Return a ledger that has of the claim what isn't on the hub, or lacks what is."""
    of = () if knows == "nothing yet" else (UID,)
    return Endings(*of, is_away=knows == "away", runs_on=knows == "came elsewhere")


OLDER_HUB = pytest.mark.parametrize("knows", ["ended", "came elsewhere"])


class World:
    """One claim on the hub, beside a ledger; the clusters note what they are asked."""

    def __init__(self, claim: GpuClaim, knows: str) -> None:
        self.claim, self.api = claim, NotedApi(UID)
        self.tools = MOVE.tools(claim, self.api, MOVE.there)
        self.tools.ledger = ledger(knows)
        self.hub: Written = self.tools.claims
        self.events: list[str] = []
        self.tools.events.note = lambda _, reason, message: self.events.append(
            f"{reason} {message}"
        )
        self.works = Works(self.tools, self.hub.write_status)

    async def do(self, work: Work | None) -> Any:
        """Carry a piece of work out."""
        assert work is not None
        return await work(self.claim, lambda: None)

    async def relocate(self) -> Any:
        cause, places = MoveCause.LEASE_ENDS, (MOVE.there,)
        decision = Relocate(ClaimUID(UID), 2, cause, at(20), at(40), None, None, places)
        return await self.do(self.works.relocate(decision))

    async def cut_over(self) -> Any:
        return await self.do(self.works.cut_over(CutOver(ClaimUID(UID), at(40))))

    async def go_on(self) -> Any:
        return await self.do(self.works.asked_for(self.claim))

    @property
    def live(self) -> GpuClaim:
        assert self.hub.live is not None
        return self.hub.live

    @property
    def said(self) -> str:
        """What the claim's Ready says."""
        found = find_condition(self.live.status.conditions, "Ready")
        assert found is not None
        return found.message


@OLDER_HUB
async def test_it_begins_no_move_and_an_event_says_why(knows: str):
    world = World(BEFORE, knows)
    with pytest.raises(LedgerConflict, match=OVER):
        await world.relocate()

    assert world.live is BEFORE
    assert world.api.calls == []
    (event,) = world.events
    assert event.startswith(f"HubBehind {OVER}")


@OLDER_HUB
async def test_a_move_under_way_gets_no_node_and_says_why(knows: str):
    world = World(MOVING, knows)
    with pytest.raises(LedgerConflict):
        await world.go_on()

    assert world.api.calls == []
    assert OVER in world.said
    assert "1 other node is being made ready" in world.said


@OLDER_HUB
async def test_nodes_that_are_ready_arent_cut_over_to_which_is_said(knows: str):
    world = World(READY, knows)
    with pytest.raises(LedgerConflict):
        await world.cut_over()

    assert allocation_of(world.live).sequence == 1
    assert OVER in world.said
    assert "others are ready at east" in world.said


async def test_while_the_ledger_is_away_a_move_is_held_and_says_that_it_waits():
    world = World(BEFORE, "away")
    with pytest.raises(LedgerUnavailable):
        await world.relocate()

    assert world.live.status.move is not None
    assert world.api.calls == []
    assert world.said.endswith("; away")


async def test_while_the_ledger_is_away_nodes_that_are_ready_wait_and_say_so():
    world = World(READY, "away")
    with pytest.raises(LedgerUnavailable):
        await world.cut_over()

    assert allocation_of(world.live).sequence == 1
    assert world.said.endswith("; away")


async def test_a_ledger_that_has_no_line_of_it_yet_holds_up_no_move():
    world = World(BEFORE, "nothing yet")
    with pytest.raises(LostRace, match="node e-0 is gone"):  # it was to be locked
        await world.relocate()

    world = World(READY, "nothing yet")
    await world.cut_over()
    assert allocation_of(world.live).sequence == 2


async def test_a_claim_that_was_bound_again_since_its_last_line_is_moved():
    held = allocation_of(READY).model_copy(update={"sequence": 2})
    move = move_status.move_of(READY).model_copy(update={"sequence": 3})
    status = READY.status.model_copy(update={"allocation": held, "move": move})
    world = World(with_status(READY, status), "ended")
    await world.cut_over()

    assert allocation_of(world.live).sequence == 3


async def test_what_another_operator_has_cut_over_is_no_sign_of_an_older_hub():
    world = World(READY, "came elsewhere")
    world.hub.live = MOVE.over

    async def outrun(_: GpuClaim, __: ClaimStatus) -> GpuClaim:
        raise Outrun("409")

    world.works = Works(world.tools, outrun)
    with pytest.raises(Outrun):
        await world.cut_over()
    assert world.events == []


@OLDER_HUB
async def test_its_tokens_arent_renewed_and_an_event_says_why(knows: str):
    setup, events = Setup("west", "east"), []
    setup.tools.ledger = ledger(knows)
    setup.tools.events.note = lambda _, reason, message: events.append(f"{reason} {message}")
    with pytest.raises(LedgerConflict):
        await setup.renew()

    assert setup.api("west").calls == setup.api("east").calls == []
    assert not setup.hub.is_there
    assert [event.startswith(f"HubBehind {OVER}") for event in events] == [True]


@OLDER_HUB
async def test_its_tokens_die_all_the_same_where_its_secret_was_lost(knows: str):
    setup = Setup.of_lost("west", "east")
    setup.tools.ledger = ledger(knows)
    with pytest.raises(LedgerConflict):
        await setup.renew()

    assert (setup.revoked("west"), setup.revoked("east")) == (1, 1)
    assert not [call for api in setup.apis.values() for call in api.calls if call[0] == "CREATE"]
    assert not setup.hub.is_there


@pytest.mark.parametrize("knows", ["away", "nothing yet"])
async def test_a_ledger_that_cant_tell_costs_nobody_their_way_in(knows: str):
    setup = Setup("west", "east")
    setup.tools.ledger = ledger(knows)
    await setup.renew()

    assert setup.hub.contexts == ["east", "west"]
