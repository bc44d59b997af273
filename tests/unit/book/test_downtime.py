"""GPUs that are known not to work are written down for as long as they don't; unknown is never downtime."""

from dataclasses import replace

import pytest

from sublet.api import claim_status, move_status
from sublet.api.downtime import MOST_DOWNTIMES, Downtime, DowntimeCause
from sublet.api.gpuclaim import Release
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Fail
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from sublet.ledger.interval import intervals
from tests.builders.api import NOW
from tests.builders.edges import edges_of
from tests.builders.fleet import after, view
from tests.builders.moves import leased, running

GONE, NOT_READY, MISSING = DowntimeCause


def wounded(pair, index: int = 0, **fields):
    """Return the lease with one node that is otherwise."""
    each, found = pair
    all_nodes = list(found.nodes.values())
    all_nodes[index] = replace(all_nodes[index], **fields)
    return each, replace(found, nodes={n.name: n for n in all_nodes})


def without(pair, index: int = 0, *, is_gone: bool):
    each, found = pair
    lost = list(found.nodes.values())[index]
    rest = {name: n for name, n in found.nodes.items() if n.uid != lost.uid}
    return each, replace(found, nodes=rest, gone=frozenset({lost.uid}) if is_gone else frozenset())


def silent(pair):
    each, found = pair
    status = each.status.model_copy(update={"last_seen_time": NOW})
    return each.model_copy(update={"status": status}), replace(found, reach=Reach.UNKNOWN)


WEST = leased("west", count=3)
DOWN = wounded(WEST, is_ready=False)


def history(*steps, claim=None):
    """Return the claim after passes over these fleets, each with its milliseconds after NOW."""
    seen = view([claim or running(WEST)], [WEST])
    for pair, ms in steps:
        each, found = pair
        seen = replace(
            seen, leases=(each,), inventories={each.metadata.uid: found}, now_ms=Millis(NOW + ms)
        )
        for _ in range(2):  # that a node failed is said first
            seen = after(seen, plan(seen))
    return seen.claims[0]


def told(claim) -> list[tuple[int, str, int, int | None]]:
    return [
        (x.gpus, x.cause, x.from_time - NOW, x.until_time and x.until_time - NOW)
        for x in claim.status.downtimes
    ]


def down_lines(claim) -> list[tuple[str, int]]:
    return [(f.type.value, f.at_ms - NOW) for f in edges_of(claim) if f.kind.value == "downtime"]


@pytest.mark.parametrize(
    ("fleet", "gpus", "cause"),
    [
        (DOWN, 8, NOT_READY),
        (wounded(WEST, shows=6), 2, MISSING),
        (wounded(WEST, shows=0), 8, MISSING),
        (wounded(WEST, is_ready=False, shows=6), 8, NOT_READY),
        (without(WEST, is_gone=True), 8, GONE),
    ],
)
def test_what_is_wrong_with_a_node_is_written_down_with_its_gpus(fleet, gpus, cause):
    assert told(history((fleet, 5))) == [(gpus, cause, 5, None)]


@pytest.mark.parametrize(
    "fleet",
    [
        WEST,
        wounded(WEST, 1, is_ready=False),
        without(WEST, is_gone=False),
        silent(DOWN),
        (DOWN[0], replace(DOWN[1], synced=False)),
    ],
    ids=["well", "another node", "unlisted", "silent", "unread"],
)
def test_what_isnt_known_to_be_wrong_is_no_downtime(fleet):
    assert told(history((fleet, 5))) == []


def test_it_ends_with_the_pass_that_sees_it_over_and_stands_in_the_ledger_beside_the_bill():
    train = history((DOWN, 5), (WEST, 9))

    assert told(train) == [(8, NOT_READY, 5, 9)]
    assert down_lines(train) == [("open", 5), ("close", 9)]


def test_a_claim_that_is_told_once_is_told_nothing_while_nothing_changes():
    seen = view([history((DOWN, 5))], [DOWN], now_ms=Millis(NOW + 9))

    assert not any(isinstance(d, Fail) for d in plan(seen).decisions)


def test_another_number_of_gpus_is_another_downtime_without_a_gap():
    train = history((wounded(WEST, shows=6), 5), (wounded(WEST, shows=4), 7), (WEST, 9))

    assert told(train) == [(2, MISSING, 5, 7), (4, MISSING, 7, 9)]
    found = [x for x in intervals(edges_of(train)) if x.kind.value == "downtime"]
    assert [(x.start_ms - NOW, (x.end_ms or NOW) - NOW) for x in found] == [(5, 7), (7, 9)]


def test_of_several_nodes_the_gpus_are_counted_and_the_gravest_cause_is_named():
    both = wounded(wounded(WEST, 0, shows=7), 1, is_ready=False)

    assert told(history((both, 5), claim=running(WEST, count=2))) == [(9, NOT_READY, 5, None)]


def test_a_part_of_a_shared_node_lacks_only_what_the_node_cant_show_for_it():
    train = running(WEST)
    held = train.status.allocation
    place = held.placements[0].model_copy(update={"gpus": 4})
    part = held.model_copy(update={"placements": (place,)})
    train = train.model_copy(
        update={"status": train.status.model_copy(update={"allocation": part})}
    )

    assert told(history((wounded(WEST, shows=5), 5), claim=train)) == []
    assert told(history((wounded(WEST, shows=3), 5), claim=train)) == [(1, MISSING, 5, None)]


def test_what_lasts_goes_on_while_the_cluster_is_silent():
    train = history((DOWN, 5), (silent(WEST), 7), (silent(DOWN), 8), (WEST, 9))

    assert told(train) == [(8, NOT_READY, 5, 9)]


@pytest.mark.parametrize("back", [0, -50])
def test_whatever_our_clock_does_none_is_empty_and_no_two_share_a_line(back: int):
    steps = [(DOWN, 5), (wounded(WEST, shows=2), 5 + back), (DOWN, 5 + back), (WEST, 5 + back)]
    train = history(*steps)

    lines = down_lines(train)
    assert len(set(lines)) == len(lines) == 6
    assert [at for _, at in lines] == sorted(at for _, at in lines)
    list(intervals(edges_of(train)))


def test_a_release_ends_it_with_the_meter():
    train = history((DOWN, 5))
    release = Release(cause=ReleaseCause.DELETED, release_time=Millis(NOW + 8), sequence=1)
    going = claim_status.releasing(train, release, Millis(NOW + 9))
    train = train.model_copy(update={"status": going})

    assert down_lines(train) == [("open", 5), ("close", 8)]
    assert told(history((WEST, 20), claim=train))[0][3] is None


def test_what_a_move_left_is_ended_there_and_the_new_nodes_work():
    train = history((DOWN, 5))
    places = running(WEST, count=2).status.allocation.placements[1:]
    move = Move(sequence=2, cause=MoveCause.NODE_FAILED, decided_time=NOW, placements=places)
    status = train.status.model_copy(update={"move": move})
    moving = train.model_copy(update={"status": status})
    at = Millis(NOW + 8)
    moved = moving.model_copy(update={"status": move_status.cut_over(moving, at, at)})

    assert down_lines(history((DOWN, 9), claim=moved)) == [("open", 5), ("close", 8)]
    assert move_status.left_behind(moved, 1).downtimes == ()


def full(*entries: Downtime, claim):
    """Return a claim whose list is full: these entries, then old ones of another lease that are over."""
    (like, *_) = claim.status.downtimes
    over = [
        Downtime(**{**like.model_dump(), "lease_uid": "x", "from_time": at, "until_time": at + 1})
        for at in range(MOST_DOWNTIMES - len(entries))
    ]
    status = claim.status.model_copy(update={"downtimes": (*entries, *over)})
    return claim.model_copy(update={"status": status})


def failure(claim, pair, ms: int) -> Fail:
    each, found = pair
    seen = view([claim], [pair])
    seen = replace(
        seen, leases=(each,), inventories={each.metadata.uid: found}, now_ms=Millis(NOW + ms)
    )
    (decision,) = (d for d in plan(seen).decisions if isinstance(d, Fail))
    return decision


def test_of_many_the_oldest_that_is_over_goes():
    train = history((DOWN, 5))
    train = full(*train.status.downtimes, claim=train)

    said = failure(train, wounded(WEST, shows=1), 9)

    (_, oldest, *others) = train.status.downtimes
    assert len(said.downtimes) == MOST_DOWNTIMES
    assert (oldest in said.downtimes, said.downtimes[1:-1]) == (False, tuple(others))


def test_one_that_ends_only_now_stays_as_the_ledger_has_no_end_of_it_yet():
    train = history((DOWN, 5))
    train = full(*train.status.downtimes, claim=train)

    said = failure(train, wounded(WEST, shows=1), 9)

    assert [x.until_time for x in said.downtimes if x.lease_uid != "x"] == [NOW + 9, None]


def test_until_the_ledger_has_all_lines_what_is_over_is_closed_and_nothing_goes():
    train = history((DOWN, 5))
    train = full(*train.status.downtimes, claim=train)

    said = failure(train, wounded(WEST, shows=1), 9)

    (ended, *others) = said.unsettled
    assert (ended.until_time, tuple(others)) == (NOW + 9, train.status.downtimes[1:])


def test_where_there_is_room_nothing_waits_for_the_ledger():
    said = failure(history((DOWN, 5)), wounded(WEST, shows=1), 9)

    assert said.unsettled == said.downtimes
