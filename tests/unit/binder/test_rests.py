"""A rest lasts as long as the lease asks for, whatever our wall clock does meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sublet.api import claim_status, move_status
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.last_word import Leftover
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis
from sublet.binder import leave as leaving
from sublet.binder.forced import leftover_of
from sublet.binder.leave import leave
from sublet.binder.leftovers import clear
from sublet.binder.ports import StillThere
from sublet.binder.release import release
from sublet.binder.rests import _MOST, Rests
from sublet.drift.clear import Clearing
from tests.builders.api import NOW, with_status
from tests.builders.clusters import LiveNodes, nobody_keeps_it, tools_of
from tests.builders.last_words import Lists
from tests.builders.moves import let_in, running
from tests.builders.moving import RESTING, Kept, locked
from tests.builders.orphans import ORPHAN
from tests.harness.fake_api import SteppedClock

UID = RESTING[0].metadata.uid
MONTH_SECONDS = 30 * 86_400
"""By so much our clock is wrong for a moment."""


def at_now() -> SteppedClock:
    clock = SteppedClock()
    clock.seconds = NOW / 1_000
    return clock


class Resting:
    """What a claim had on a lease whose nodes rest for a minute, and an operator that takes it back."""

    def __init__(self) -> None:
        self.clock = at_now()
        self.waits: list[float] = []
        """For how long it is said to rest, each time."""
        self.hub: Any = Kept(self.claim())
        (place,) = claim_status.allocation_of(self.hub.live).placements
        self.api = LiveNodes(self.hub.live.metadata.uid, locked(self.hub.live, place))
        self.begin_anew()

    def begin_anew(self) -> None:
        """Let a new operator go on."""
        self.tools = tools_of(self.hub, {UID: RESTING[0]}, {UID: self.api})
        self.tools.clock, self.tools.lists = self.clock, Lists()
        self.tools.cluster(UID).lease_uid = UID

    def claim(self) -> GpuClaim:
        each = running(RESTING)
        decided = Release(cause=ReleaseCause.DELETED, release_time=NOW, sequence=1)
        return with_status(each, claim_status.releasing(each, decided, NOW))

    async def take_back(self) -> None:
        await release(self.hub.live, self.tools)

    def is_free(self) -> bool:
        """Try once; say whether the nodes are free then."""
        try:
            asyncio.run(self.take_back())
        except StillThere as reason:
            self.waits.append(reason.wait_seconds)
            return False
        return True

    def see_at(self, ahead_seconds: float, *seconds: float) -> list[bool]:
        """Look first by a clock that is ahead and then, after so many seconds each, by one that is right."""
        self.clock.set_back_seconds = -ahead_seconds
        seen = [self.is_free()]
        self.clock.set_back_seconds = 0
        for each in seconds:
            self.clock.seconds += each
            seen.append(self.is_free())
        return seen


class Left(Resting):
    """Nodes that a bound claim left."""

    def claim(self) -> GpuClaim:
        each = let_in(running(RESTING), "west")
        (place,) = claim_status.allocation_of(each).placements
        (*_, other) = RESTING[1].nodes.values()
        fresh = place.model_copy(update={"node": other.name, "node_uid": other.uid, "home": 1})
        move = Move(sequence=2, cause=MoveCause.NODE_FAILED, decided_time=NOW, placements=(fresh,))
        each = with_status(each, move_status.moving(each, move, NOW))
        return with_status(each, move_status.cut_over(each, NOW, NOW))

    async def take_back(self) -> None:
        await leave(self.hub.live, self.hub.live.status.leaving[0], self.tools)


class Leftovers(Resting):
    """What a claim left by a person's word."""

    left: Leftover | None = None

    async def take_back(self) -> None:
        lease, lists = RESTING[0], self.tools.lists
        left = self.left or leftover_of(self.hub.live, UID, "ann", Millis(NOW))
        try:
            await clear(lease, left, self.tools.cluster(UID), self.tools, nobody_keeps_it)
        finally:
            self.left = lists.changed[-1] if lists.changed else left


class Orphaned(Resting):
    """What is nobody's."""

    clearing: Clearing | None = None

    async def take_back(self) -> None:
        nothing: Any = None
        before, self.clearing = (
            self.clearing,
            Clearing(
                self.tools, nothing, ORPHAN, Millis(NOW), is_over=False, ending=asyncio.Lock()
            ),
        )
        if before is not None:
            self.clearing.rests_since(before)
        await self.clearing.run(self.tools.cluster(UID), RESTING[0], nobody_keeps_it)


ALL = pytest.mark.parametrize("kind", [Resting, Left, Leftovers, Orphaned])


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(leaving, "POD_WAIT_SECONDS", 0.0)


@ALL
def test_a_clock_that_was_ahead_when_the_last_pod_went_prolongs_no_rest(
    kind: Callable[[], Resting],
):
    nodes = kind()

    assert nodes.see_at(MONTH_SECONDS, 59, 1) == [False, False, True]
    assert nodes.waits == [60, 1]


@ALL
def test_a_clock_that_is_ahead_for_a_moment_ends_no_rest(kind: Callable[[], Resting]):
    nodes = kind()
    assert not nodes.is_free()
    nodes.clock.seconds += 1

    assert nodes.see_at(MONTH_SECONDS, 58, 1) == [False, False, True]


@ALL
def test_a_clock_that_is_behind_for_a_moment_prolongs_no_rest_and_ends_none(
    kind: Callable[[], Resting],
):
    nodes = kind()
    assert not nodes.is_free()
    nodes.clock.seconds += 1

    assert nodes.see_at(-MONTH_SECONDS, 58, 1) == [False, False, True]
    assert nodes.waits == [60, 59, 1]


def test_what_a_person_lets_go_rests_no_longer_for_a_clock_that_was_ahead():
    nodes = Resting()
    assert nodes.see_at(MONTH_SECONDS, 30) == [False, False]
    forced = Leftovers()
    forced.left = leftover_of(nodes.hub.live, UID, "ann", Millis(NOW))
    forced.tools.rests, forced.clock.seconds = nodes.tools.rests, nodes.clock.seconds

    assert forced.see_at(0, 30) == [False, True]


def test_an_operator_that_finds_an_instant_that_lies_ahead_lets_the_nodes_rest_once_more():
    nodes = Resting()
    nodes.see_at(MONTH_SECONDS, 59)
    nodes.begin_anew()

    assert nodes.see_at(0, 59, 1) == [False, False, True]


def test_an_operator_whose_clock_was_behind_ends_no_rest_of_the_next_one_early():
    nodes = Resting()
    assert not nodes.is_free()
    nodes.begin_anew()
    assert nodes.see_at(-MONTH_SECONDS, 1) == [False, False]
    nodes.begin_anew()

    assert nodes.see_at(0, 58, 1) == [False, False, True]


def test_of_many_notes_the_oldest_is_forgotten_and_seen_as_the_clock_has_it():
    rests, clock = Rests(), at_now()
    ahead = Millis(NOW + 60_000)
    rests.left_seconds("first", ahead, 60, clock)
    for number in range(_MOST):
        rests.left_seconds(str(number), ahead, 60, clock)
    clock.seconds += 30

    assert rests.left_seconds("first", ahead, 60, clock) == 60
    assert rests.left_seconds(str(_MOST - 1), ahead, 60, clock) == 30
