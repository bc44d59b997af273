"""Lines of a claim that is gone, of which its cluster shows nothing: they end as an orphan's do, or by a person's word."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID
from sublet.api.last_word import Leftover, LostStatus
from sublet.api.times import Millis
from sublet.drift import sweeper
from sublet.drift.claims import Claims
from sublet.drift.lookout import Place
from sublet.ledger.entry import EntryKind, EntryType
from sublet.ledger.interval import intervals
from tests.builders.api import NOW, as_claim, as_lease, claim, lease, uid_of
from tests.builders.clusters import CLUSTER
from tests.builders.fleet import bound, held, nodes
from tests.builders.orphans import GONE, OPEN, ORPHAN, WEST, World
from tests.builders.restored import newborn, on_the_wire, restored

EAST = LeaseUID(as_lease(lease("east")).metadata.uid)
AT_EAST = replace(OPEN, lease_uid=EAST)
ENDS = [("bound", "close"), ("releasing", "open"), ("releasing", "close")]


def lost(meter_time: int = NOW - 1, **spec: object) -> GpuLease:
    """Return the lease as lost by a person's word."""
    at = Millis(meter_time)
    west = as_lease(lease(**spec))
    said = LostStatus(by="ann", time=at, meter_time=at)
    return west.model_copy(update={"status": west.status.model_copy(update={"lost": said})})


def name(world: World, *uids: str) -> None:
    """Have a person say of some claims, in the lease that is looked at, that they are gone."""
    world.place = Place(as_lease(lease(releaseOrphans=[*uids])), world.place.cluster)


async def tend_lost(world: World, west: GpuLease, times: int = 2) -> None:
    """Heed what a person says of a lease that is lost, whose cluster doesn't answer."""
    world.tools.leases = lambda: [west]
    for _ in range(times):
        await world.sweeper.tend(ClusterUID(CLUSTER), [], (), Claims(()), [west])
        await world.end()


async def test_its_lines_end_at_second_sight_when_the_hub_was_first_seen_without_it():
    world = World(OPEN)
    now = world.sweeper._tools.clock.now_ms()
    await world.see_nothing()
    assert (world.said, world.written()) == ("Waits", [])
    await world.see_nothing()

    assert (world.said, world.written()) == ("TakenBack", ENDS)
    assert {f.at_ms for f in world.facts[1:]} == {now}
    assert world.api.sent("DELETE") + world.api.sent("PATCH") == []


async def test_nothing_ends_by_a_look_that_may_not_have_shown_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweeper, "MOST_ORPHANS", 1)
    world = World(OPEN)
    for _ in range(3):
        await world.tend(replace(ORPHAN, claim_uid=ClaimUID(uid_of("other"))))

    assert world.written() == []


async def test_the_bill_is_what_the_ledger_says_until_then():
    world = World(OPEN)
    now = world.sweeper._tools.clock.now_ms()
    await world.see_nothing(times=3)

    found = [i for i in intervals(world.facts) if i.kind is EntryKind.BOUND]
    assert [i.gpu_milliseconds(Millis(0), Millis(now * 2)) for i in found] == [
        8 * (now - OPEN.at_ms)
    ]


async def test_when_they_have_ended_there_is_nothing_to_say_any_more():
    world = World(OPEN)
    await world.see_nothing(times=3)

    assert world.said == ""
    assert len(world.facts) == 4


async def test_what_is_held_of_another_lease_of_the_cluster_ends_with_the_taking_back():
    world = World(OPEN, AT_EAST)
    cluster: Any = SimpleNamespace(**vars(world.place.cluster))
    cluster.lease_uid = EAST
    east = Place(as_lease(lease("east")), cluster)
    for _ in range(2):
        await world.sweeper.tend(ClusterUID(CLUSTER), [world.place, east], [ORPHAN], Claims(()))
        await world.end()

    last = {f.lease_uid: (f.kind.value, f.type.value) for f in world.facts}
    assert last == dict.fromkeys((OPEN.lease_uid, EAST), ("releasing", "close"))


async def test_with_lines_in_another_cluster_too_it_waits_for_a_persons_word():
    world = World(OPEN, AT_EAST)
    await world.see_nothing(times=3)

    assert (world.said, world.written(2)) == ("LinesElsewhere", [])


async def test_a_persons_word_ends_the_bill_of_all_and_holds_what_is_in_another_cluster():
    world = World(OPEN, AT_EAST)
    world.leases.append({"metadata": {"uid": EAST}})
    name(world, GONE)
    await world.see_nothing(times=3)

    last = {f.lease_uid: (f.kind.value, f.type.value) for f in world.facts}
    assert last == {OPEN.lease_uid: ("releasing", "close"), EAST: ("releasing", "open")}


@pytest.mark.parametrize("west", ["answers again", "is lost"])
async def test_what_another_cluster_holds_for_a_person_is_ended_by_no_look_elsewhere(west: str):
    world = World(OPEN, AT_EAST, version="99")
    there = replace(ORPHAN, entries=())
    await world.sweeper.tend(ClusterUID(uid_of("c-east")), [world.place], [there], Claims(()))
    world.version = "200"  # the hub goes on writing
    if west == "is lost":
        await tend_lost(world, lost(), times=3)
    else:
        await world.see_nothing(times=3)
        assert world.said == "HubRewound"

    assert world.written(2) == []


async def test_of_a_lease_that_isnt_looked_at_nothing_ends():
    world = World(AT_EAST)
    await world.see_nothing(times=3)

    assert (world.said, world.written()) == ("", [])


async def test_a_claim_that_the_hub_has_by_a_live_look_keeps_its_lines_whatever_it_holds(
    monkeypatch: pytest.MonkeyPatch,
):
    world = World(OPEN)
    world.items.append(on_the_wire(as_claim(claim(), uid=str(GONE))))
    monkeypatch.setattr(world.sweeper, "_known", tuple)  # memory is behind
    await world.see_nothing(times=3)

    assert (world.said, world.written()) == ("", [])


async def test_a_claim_that_cant_be_read_keeps_its_lines(monkeypatch: pytest.MonkeyPatch):
    world = World(OPEN)
    live = on_the_wire(bound(held(as_claim(claim(), uid=str(GONE)), WEST, [nodes(WEST, 1)[0]])))
    live["status"]["allocation"] = "of a newer version"
    world.items.append(live)
    monkeypatch.setattr(world.sweeper, "_known", tuple)  # memory is behind
    await world.see_nothing(times=3)

    assert (world.said, world.written()) == ("", [])


@pytest.mark.parametrize("finished", [True, False])
async def test_a_restored_claim_that_waits_to_be_adopted_keeps_its_lines(
    finished: bool, monkeypatch: pytest.MonkeyPatch
):
    world = World(OPEN)
    held_back = restored(on_the_wire(as_claim(claim(), uid=str(GONE))))
    world.items.append(held_back if finished else newborn(held_back))
    monkeypatch.setattr(world.sweeper, "_known", tuple)
    await world.see_nothing(times=3)

    assert (world.said, world.written()) == ("AwaitsAdoption", [])


async def test_a_claim_that_comes_back_before_its_bill_ends_is_seen_anew():
    world = World(OPEN)
    await world.see_nothing()
    world.items.append(on_the_wire(as_claim(claim(), uid=str(GONE))))
    await world.see_nothing()
    world.items.clear()
    await world.see_nothing()

    assert (world.said, world.written()) == ("Waits", [])


async def test_nothing_ends_while_the_hub_is_older_than_the_ledger():
    world = World(OPEN, version="99")
    await world.see_nothing(times=3)

    assert (world.said, world.written()) == ("HubRewound", [])


async def test_of_many_that_vanished_at_once_a_person_is_asked_and_the_word_counts():
    other = ClaimUID(uid_of("gone-too"))
    world = World(OPEN, replace(OPEN, claim_uid=other))
    await world.see_nothing(times=3)
    assert (world.said, world.written(2)) == ("TooMany", [])

    name(world, GONE)
    await world.see_nothing(times=2)

    assert world.written(2) == ENDS
    assert {f.claim_uid for f in world.facts[2:]} == {GONE}


async def test_what_has_ended_since_it_was_remembered_asks_the_hub_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    world = World(OPEN, replace(OPEN, type=EntryType.CLOSE, at_ms=Millis(NOW - 1)))
    world.begun = [OPEN]

    async def get(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(world, "get", get)
    await world.see_nothing(times=2)

    assert world.said == ""


async def test_what_a_person_left_there_is_waited_for():
    world = World(OPEN)
    left = Leftover(claim_uid=GONE, homes=(1,), gpus=8, since_time=Millis(NOW))
    status = WEST.status.model_copy(update={"leftovers": (left,)})
    world.place = Place(WEST.model_copy(update={"status": status}), world.place.cluster)
    await world.see_nothing(times=3)

    assert (world.said, world.written()) == ("", [])


async def test_on_a_lost_lease_a_persons_word_ends_them_without_a_look_when_its_meters_stopped():
    world = World(OPEN)
    await tend_lost(world, lost(releaseOrphans=[GONE]), times=1)
    assert world.written() == []
    await tend_lost(world, lost(releaseOrphans=[GONE]), times=1)

    assert world.written() == ENDS
    assert [f.at_ms for f in world.facts[1:3]] == [NOW - 1] * 2


async def test_on_a_lost_lease_without_a_persons_word_they_stay():
    world = World(OPEN)
    await tend_lost(world, lost(), times=3)

    assert world.written() == []


async def test_a_lost_lease_that_names_another_claim_ends_none_of_those_that_it_doesnt_name():
    world = World(OPEN, AT_EAST)
    east = lost(releaseOrphans=[uid_of("another")]).model_copy(
        update={"metadata": as_lease(lease("east")).metadata}
    )
    for _ in range(3):
        await world.sweeper.tend(ClusterUID(CLUSTER), [world.place], (), Claims(()), [east])
        await world.end()

    assert (world.said, world.written(2)) == ("LinesElsewhere", [])


@pytest.mark.parametrize("named_on", ["the lost lease", "the one that answers"])
async def test_whichever_lease_names_it_the_bill_ends_at_one_instant(named_on: str):
    world = World(AT_EAST, OPEN)
    east = as_lease(lease("east", releaseOrphans=[GONE]))
    cluster: Any = SimpleNamespace(**vars(world.place.cluster))
    cluster.lease_uid = EAST
    world.place = Place(east, cluster)
    if named_on == "the lost lease":
        await tend_lost(world, lost(releaseOrphans=[GONE]))
    else:
        world.tools.leases = lambda: [east, lost()]
        await world.see_nothing(times=2)

    assert {f.at_ms for f in world.facts[2:] if f.kind is EntryKind.BOUND} == {NOW - 1}


async def test_nothing_is_billed_for_less_than_nothing_where_a_lease_was_lost_before():
    world = World(replace(OPEN, at_ms=Millis(NOW + 5)))
    await tend_lost(world, lost(releaseOrphans=[GONE]))

    assert [f.at_ms for f in world.facts[1:3]] == [NOW + 5] * 2
    list(intervals(world.facts))


async def test_a_persons_word_ends_those_on_a_lease_that_is_gone():
    world = World(AT_EAST)
    name(world, GONE)
    await world.see_nothing(times=2)

    assert world.written() == ENDS


async def test_a_persons_word_ends_none_on_a_lease_that_the_hub_has():
    world = World(AT_EAST)
    world.leases.append({"metadata": {"uid": EAST}})
    name(world, GONE)
    await world.see_nothing(times=3)

    assert (world.said, world.written()) == ("", [])
