"""A lease's list of what claims left stays as small as the hub's store takes, and what it has no room for is counted."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.last_word import (
    MOST_LEFTOVER_BYTES,
    MOST_LEFTOVERS,
    Leftover,
    LostStatus,
    count_fitting,
    room_of,
)
from sublet.api.times import Millis
from sublet.binder.ports import StillThere
from sublet.fleet.facts import Orphans
from sublet.hub.aftermath import left_beside, left_there
from sublet.hub.lease_lists import HubLeaseLists
from sublet.hub.state import HubState
from sublet.kube.errors import Conflict
from tests.builders.api import NOW, uid_of
from tests.builders.moves import leased, running
from tests.builders.restored import on_the_wire

WEST = leased("west")
LONGEST = "a" * 1_024
"""Who gives the word, as long as the API lets a name be."""
STORE_BYTES = 1_572_864
"""What etcd takes in one request."""
CLEAN = Orphans("", "every namespace and every entry is of a claim that has it")


def lost(by: str, leftovers: tuple[Leftover, ...] = (), more: int | None = None) -> GpuLease:
    word = LostStatus(by=by, time=NOW, meter_time=NOW)
    update = {"lost": word, "leftovers": leftovers, "leftovers_more": more}
    return WEST[0].model_copy(update={"status": WEST[0].status.model_copy(update=update)})


def claims(count: int) -> list[GpuClaim]:
    """Return claims that hold nodes of the lease."""
    one = running(WEST)
    metas = (one.metadata.model_copy(update={"uid": uid_of(f"claim {i}")}) for i in range(count))
    return [one.model_copy(update={"metadata": meta}) for meta in metas]


def left(number: int = 0, by: str = "ann", **fields: Any) -> Leftover:
    base = {"claim_uid": uid_of(f"left {number}"), "homes": (1,), "gpus": 8, "since_time": NOW}
    return Leftover(by=by, **{**base, **fields})


def stored(leftovers: tuple[Leftover, ...]) -> int:
    """Return the bytes of a list as the API server stores it."""
    dumped = [x.model_dump(mode="json", by_alias=True, exclude_none=True) for x in leftovers]
    text = json.dumps(dumped, ensure_ascii=False, separators=(",", ":"))
    for each in "<>&":
        text = text.replace(each, "\\u0000")
    return len(text.encode())


@pytest.mark.parametrize("by", [LONGEST, "<&>" * 341, "\x01" * 1_024, "名" * 1_024])
def test_no_lost_lease_grows_beyond_what_the_store_takes_and_all_are_counted(by: str):
    lease, held = lost(by), claims(1_500)

    listed, more = left_there(lease, lease.status.lost, held, NOW)

    assert 0 < stored(listed) <= MOST_LEFTOVER_BYTES <= STORE_BYTES // 2
    assert len(listed) + more == len(held)
    assert more > 0


def test_where_names_are_of_the_usual_length_thousands_are_listed():
    by = "system:serviceaccount:platform:incident-response"
    each = left(by=by)

    assert count_fitting((), [each] * MOST_LEFTOVERS) > 2_500


@pytest.mark.parametrize(
    "each",
    [
        left(),
        left(by="", vacated_time=Millis(NOW + 1)),
        left(by=LONGEST, homes=tuple(range(999_968, 1_000_000)), gpus=1_000_000, vacated_time=NOW),
        left(by='<&>\x01\n"\\名😀'),
    ],
)
def test_no_entry_takes_more_than_the_room_that_is_kept_for_it(each: Leftover):
    assert stored((each,)) - 1 <= room_of(each)


def test_a_list_holds_so_many_however_small_they_are():
    assert count_fitting([left(i, by="") for i in range(10)], []) == 0
    full = [left(by="", homes=(1,))] * MOST_LEFTOVERS
    assert count_fitting(full, [left()]) == 0


def test_what_is_not_listed_stays_counted_when_its_claims_have_ended():
    listed = (left(),)
    assert left_beside(lost("ann", listed), 7, Orphans()) == 7
    assert left_beside(lost("ann", listed, 7), 0, Orphans()) == 7
    assert left_beside(lost("ann", listed, 7), 3, CLEAN) == 7
    assert lost("ann", listed, 7).status.left_claims == 8


def test_it_is_forgotten_when_the_list_is_done_with_and_a_look_found_nothing():
    assert left_beside(lost("ann", (), 7), 0, Orphans()) == 7
    assert left_beside(lost("ann", (), 7), 0, Orphans("TakenBack", "8 GPUs are held")) == 7
    assert left_beside(lost("ann", (), 7), 0, CLEAN) is None


class NotedHub:
    """A hub that notes what is written."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def patch(self, path: str, operations: Any) -> dict[str, Any]:
        self.written.append(operations)
        return {"metadata": {"uid": uid_of("x")}}


async def test_a_forced_release_waits_while_its_lease_has_no_room_for_it_and_says_so():
    known = tuple(left(i, LONGEST) for i in range(count_fitting((), [left(by=LONGEST)] * 5_000)))
    hub, shelf = NotedHub(), SimpleNamespace(take=lambda _: None)
    lists = HubLeaseLists(hub, SimpleNamespace(shelf=lambda _: shelf))

    with pytest.raises(
        StillThere, match=f"lists {len(known)} forced releases, and has room for no more"
    ):
        await lists.leave(lost("ann", known), left(9_999, LONGEST))
    assert hub.written == []

    await lists.leave(lost("ann", known[1:]), left(9_999, LONGEST))
    (written,) = hub.written
    assert len(written[-1]["value"]) == len(known)


class OutrunHub:
    """A hub on which somebody else wrote to the lease meanwhile."""

    def __init__(self, newer: GpuLease) -> None:
        self._newer = newer

    async def patch(self, *_: Any) -> Any:
        raise Conflict(409, "Conflict", "changed meanwhile")

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"items": [on_the_wire(self._newer, "GpuLease")]}


async def test_what_outran_an_entry_is_read_as_no_watch_may_tell_of_it():
    state, known = HubState(lambda: None), WEST[0]
    state.leases.put(known)
    meta = known.metadata.model_copy(update={"resource_version": "999"})

    hub: Any = OutrunHub(known.model_copy(update={"metadata": meta}))

    with pytest.raises(StillThere):
        await HubLeaseLists(hub, state).leave(known, left())

    assert [each.metadata.resource_version for each in state.leases.all()] == ["999"]
