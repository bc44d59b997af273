"""Nodes that a bound claim left and that don't come free in time: said, and asked about less often."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import Leaving
from sublet.binder import work
from sublet.binder.overdue import APART_SECONDS, overdue
from sublet.binder.ports import ClusterSilent, StillThere
from sublet.binder.work import Works
from sublet.book.holdings import RELEASE_MS
from tests.builders.api import NOW, as_lease, lease
from tests.builders.moves import left
from tests.builders.sales import sold

WEST = as_lease(lease(term={"quarantineSeconds": 600}))
CLAIM = sold("train", WEST, 8)
LEFT = left(allocation_of(CLAIM).placements)
PODS = "waiting for 2 pods of the claim to end at west"


class Noting:
    """The tools at an instant, and the Events that were noted."""

    def __init__(self, ms_later: int) -> None:
        self.clock = SimpleNamespace(now_ms=lambda: NOW + ms_later)
        self.lease = lambda _: WEST
        self.events = self
        self.noted: list[tuple[EventReason, str]] = []

    def note(self, _: GpuClaim, reason: EventReason, message: str) -> None:
        self.noted.append((reason, message))


def waited(reason: Exception, ms_later: int, left: Leaving = LEFT) -> tuple[Any, Noting]:
    tools: Any = Noting(ms_later)
    return overdue(CLAIM, left, reason, tools), tools


def test_pods_that_end_in_time_are_waited_for_in_silence():
    reason = StillThere(PODS)

    found, tools = waited(reason, RELEASE_MS - 1)

    assert (found, tools.noted) == (reason, [])


@pytest.mark.parametrize("reason", [StillThere(PODS), ClusterSilent("west")])
def test_a_node_that_isnt_free_in_time_is_said_with_what_it_waits_for(reason: Exception):
    _, tools = waited(reason, RELEASE_MS)

    ((kind, said),) = tools.noted
    assert kind is EventReason.RELEASE_OVERDUE
    assert str(reason) in said


def test_pods_that_hang_are_asked_about_less_often_so_that_the_claim_is_free_for_other_work():
    found, _ = waited(StillThere(PODS), RELEASE_MS)

    assert (str(found), found.wait_seconds) == (PODS, APART_SECONDS)


def test_a_node_that_rests_is_not_overdue():
    rest = StillThere("the nodes rest for another 600 seconds", 600.0, rests=True)

    _, tools = waited(rest, RELEASE_MS)

    assert tools.noted == []


UNMARKED = "pods run on the claim's nodes, in a namespace that isn't marked: delete that namespace"


@pytest.mark.parametrize("text", ["node west-0000 must be wiped", UNMARKED], ids=["wipe", "pods"])
def test_what_somebody_must_do_is_said_however_long_it_takes_to_look_again(text: str):
    _, tools = waited(StillThere(text, 5.0), RELEASE_MS)

    ((_, said),) = tools.noted
    assert text in said


@pytest.mark.parametrize(
    "reason", [StillThere("node west-0000 must be wiped"), ClusterSilent("west")]
)
def test_a_node_that_has_rested_has_its_time_to_come_free_from_then(reason: Exception):
    rested = LEFT.model_copy(update={"vacated_time": NOW})
    due = 600_000 + RELEASE_MS

    assert waited(reason, due - 1, rested)[1].noted == []
    assert len(waited(reason, due, rested)[1].noted) == 1


async def test_each_part_that_a_claim_leaves_is_said_by_itself(monkeypatch: pytest.MonkeyPatch):
    async def hangs(_: Any, left: Leaving, __: Any) -> GpuClaim:
        raise StillThere(f"waiting for part {left.sequence}")

    monkeypatch.setattr(work, "leave", hangs)
    parts = (LEFT, LEFT.model_copy(update={"sequence": 2}))
    claim = CLAIM.model_copy(update={"status": CLAIM.status.model_copy(update={"leaving": parts})})
    tools: Any = Noting(RELEASE_MS)
    works: Any = Works(tools, tools)

    with pytest.raises(StillThere, match="part 1"):
        await works._leave(claim, lambda: None)

    assert ["part 1" in tools.noted[0][1], "part 2" in tools.noted[1][1]] == [True, True]
