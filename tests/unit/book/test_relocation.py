"""Bound claims that come to other nodes: in time before their lease ends, once a node failed, and never for nothing."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import NodeName
from sublet.api.move_status import all_nodes
from sublet.api.relocation import MoveCause, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import CutOver, Degrade, Extend, Relocate, Take
from sublet.book.failures import REPLACE_AFTER_MS
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, claim, gpu_class
from tests.builders.fleet import after, bound, held, reserve_of, view, with_notices
from tests.builders.moves import CLASSES, LEAD, decided, leased, on_sick_node, running
from tests.builders.windows import HOUR, at


def test_a_claim_whose_lease_ends_gets_other_nodes_a_lead_before_that_and_keeps_its_own_until_then():
    west, east = leased("west", 40), leased("east")
    busy = running(west, end=40)

    assert decided(view([busy], [west, east], classes=CLASSES, now_ms=at(15.9))) == []
    (made,) = decided(view([busy], [west, east], classes=CLASSES, now_ms=at(16)))

    assert isinstance(made, Relocate)
    assert (made.cause, made.sequence, made.cutover_ms) == (MoveCause.LEASE_ENDS, 2, at(40))
    assert [p.lease for p in made.placements] == ["east"]
    assert (made.until_ms, made.until_cause) == (None, None)


def test_the_pass_looks_again_when_the_lead_begins():
    west, east = leased("west", 40), leased("east")
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(15))
    assert plan(seen).next_due_ms == at(16)


def test_the_lease_that_lasts_longest_is_taken_if_none_lasts_to_the_claims_own_end():
    west, soon, late = leased("west", 20), leased("soon", 30), leased("late", 90)
    seen = view([running(west, end=20)], [west, soon, late], classes=CLASSES)
    (made,) = decided(seen)
    assert isinstance(made, Relocate)
    assert (made.placements[0].lease, made.until_ms) == ("late", at(90))
    assert made.until_cause is ReleaseCause.LEASE_ENDED


@pytest.mark.parametrize(
    ("fleet_end", "why"), [(40, "as soon"), (39, "sooner")], ids=["as soon", "sooner"]
)
def test_a_lease_that_ends_as_soon_is_no_successor(fleet_end, why):
    west, east = leased("west", 40), leased("east", fleet_end)
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(20))
    assert decided(seen) == []


def test_a_class_without_a_lead_lets_its_claims_end_with_the_lease():
    west, east = leased("west", 40), leased("east")
    still = (as_class(gpu_class(moveLeadSeconds=0)),)
    assert decided(view([running(west, end=40)], [west, east], classes=still, now_ms=at(39))) == []


def test_no_other_product_stands_in_unless_the_class_names_a_successor():
    west = leased("west", 40)
    h200 = leased("east", product="NVIDIA-H200")
    other = as_class(gpu_class("h200", products=("NVIDIA-H200",)))
    named = as_class(gpu_class(moveLeadSeconds=LEAD * 3_600, successors=["h200"]))
    busy = running(west, end=40)

    silent = view([busy], [west, h200], classes=(*CLASSES, other), now_ms=at(20))
    told = view([busy], [west, h200], classes=(named, other), now_ms=at(20))

    assert decided(silent) == []
    (made,) = decided(told)
    assert isinstance(made, Relocate)
    assert made.placements[0].product == "NVIDIA-H200"


def test_what_a_move_takes_is_sold_to_nobody_else_and_the_old_node_stays_held():
    west, east = leased("west", 40, count=1), leased("east", count=1)
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(20))
    moved = after(seen, plan(seen))
    asks = as_claim(claim("asks", gpus=8, schedule={"durationSeconds": 3_600}))

    made = plan(replace(moved, claims=(*moved.claims, asks)))

    assert not [
        d for d in made.decisions if d.claim_uid == asks.metadata.uid and hasattr(d, "placements")
    ]


def test_at_its_end_the_old_lease_is_left_and_billed_to_that_very_instant():
    west, east = leased("west", 40), leased("east")
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(20))
    moved = after(seen, plan(seen))
    assert plan(moved).next_due_ms is not None
    assert decided(replace(moved, now_ms=at(39))) == []

    (made,) = decided(replace(moved, now_ms=at(40) + 5_000))

    uid = moved.claims[0].metadata.uid
    assert made == CutOver(uid, at(40))
    due = with_notices(replace(moved, now_ms=at(40) + 5_000))
    (over,) = after(due, plan(due)).claims
    assert over.status.allocation is not None
    assert over.status.allocation.bound_time == at(40)
    assert over.status.leaving[0].release_time == at(40)


def test_a_lease_that_is_cut_short_while_a_claim_moves_is_left_sooner():
    west, east = leased("west", 40), leased("east")
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(20))
    moved = after(seen, plan(seen))
    shorter = leased("west", 25)
    cut = replace(view(moved.claims, [shorter, east], classes=CLASSES), now_ms=at(25))
    assert decided(cut) == [CutOver(moved.claims[0].metadata.uid, at(25))]


def test_a_claim_whose_new_nodes_are_not_ready_in_time_ends_with_its_lease():
    west, east = leased("west", 40), leased("east")
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(20))
    (one,) = after(seen, plan(seen)).claims
    assert one.status.move is not None
    late = one.status.model_copy(
        update={"move": one.status.move.model_copy(update={"ready_time": None})}
    )
    waiting = one.model_copy(update={"status": late})
    (made,) = decided(view([waiting], [west, east], classes=CLASSES, now_ms=at(40)))
    assert isinstance(made, Take)
    assert made.cause is ReleaseCause.LEASE_ENDED


def test_a_tenant_that_suspends_its_claim_on_the_way_gets_it_suspended():
    west, east = leased("west", 40), leased("east")
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(20))
    (one,) = after(seen, plan(seen)).claims
    stopped = one.model_copy(update={"spec": one.spec.model_copy(update={"suspended": True})})
    (made,) = decided(view([stopped], [west, east], classes=CLASSES, now_ms=at(21)))
    assert isinstance(made, Take)
    assert made.cause is ReleaseCause.SUSPENDED


def test_a_failed_node_is_told_at_once_and_replaced_when_it_stays_so():
    west = leased("west", count=4)
    busy = running(west, count=2, replacement="OnFailure")
    first = view([busy], [on_sick_node(west)], classes=CLASSES)
    (told,) = decided(first)
    assert isinstance(told, Degrade)
    assert told.message == (
        "node west-0000 at west (NotReady) can't be used: it is replaced if it stays so for 5 minutes"
    )

    seen = after(first, plan(first))
    assert decided(seen) == []
    assert plan(seen).next_due_ms == NOW + REPLACE_AFTER_MS
    (made,) = decided(replace(seen, now_ms=NOW + REPLACE_AFTER_MS))

    assert isinstance(made, Relocate)
    assert (made.cause, made.cutover_ms) == (MoveCause.NODE_FAILED, None)
    assert [p.node for p in made.placements] == ["west-0001", "west-0002"]


def test_a_spare_node_beyond_the_commitment_may_stand_in_for_a_failed_one():
    west = leased("west", count=3, committed=16)
    busy = running(west, count=2, replacement="OnFailure")
    first = view([busy], [on_sick_node(west)], classes=CLASSES)
    seen = replace(after(first, plan(first)), now_ms=NOW + REPLACE_AFTER_MS)
    (made,) = decided(seen)
    assert isinstance(made, Relocate)


@pytest.mark.parametrize("replacement", ["Never", "OnFailure"])
def test_a_claim_with_a_failed_node_and_no_other_is_told_so_and_keeps_it(replacement):
    west = leased("west", count=1)
    busy = running(west, replacement=replacement)
    first = view([busy], [on_sick_node(west)], classes=CLASSES)
    seen = replace(after(first, plan(first)), now_ms=NOW + REPLACE_AFTER_MS)

    rest = after(seen, plan(seen))

    words = {"Never": "set replacement: OnFailure", "OnFailure": "no other node is free for it now"}
    degraded = next(c for c in rest.claims[0].status.conditions if c.type == "Degraded")
    assert words[replacement] in degraded.message
    assert decided(rest) == []


def test_a_node_that_is_well_again_is_told_too():
    west = leased("west", count=2)
    busy = running(west, replacement="OnFailure")
    first = view([busy], [on_sick_node(west)], classes=CLASSES)
    seen = after(first, plan(first))
    (made,) = decided(view(seen.claims, [west], classes=CLASSES, now_ms=at(1)))
    assert made == Degrade(busy.metadata.uid, "NodeFailed", "")


def test_a_node_that_cant_be_seen_hasnt_failed():
    west = leased("west", count=2)
    busy = running(west, replacement="OnFailure")
    assert decided(view([busy], [unseen(on_sick_node(west))], classes=CLASSES)) == []


UNSEEN = [{"reach": Reach.UNKNOWN}, {"reach": Reach.UNREACHABLE}, {"synced": False, "nodes": {}}]


def unseen(pair, **fields):
    """Return the lease while nobody sees its nodes."""
    each, found = pair
    return each, replace(found, **(fields or UNSEEN[0]))


@pytest.mark.parametrize("fields", UNSEEN, ids=["silent", "refuses", "not read yet"])
def test_a_failed_node_isnt_said_to_be_well_while_it_cant_be_seen(fields):
    west = leased("west", count=2)
    first = view([running(west, replacement="OnFailure")], [on_sick_node(west)], classes=CLASSES)
    told = after(first, plan(first))
    hidden = view(told.claims, [unseen(west, **fields)], classes=CLASSES, now_ms=at(1))
    assert decided(hidden) == []


@pytest.mark.parametrize("flaps", [False, True], ids=["steady", "flaps"])
def test_a_link_that_drops_now_and_then_puts_off_no_replacement(flaps):
    west, east = leased("west", count=4), leased("east")
    spread = as_claim(
        claim("train", gpus=16, replacement="OnFailure", placement={"minClusters": 2})
    )
    first = view([spread], [west, east], classes=CLASSES)
    (busy,) = map(bound, after(first, plan(first)).claims)
    node = next(p.node for p in busy.status.allocation.placements if p.lease == "west")
    sick = on_sick_node(west, [*west[1].nodes].index(node))
    seen = view([busy], [sick, east], classes=CLASSES)
    for minute in range(5):
        found = unseen(sick) if flaps and minute == 3 else sick
        now = Millis(NOW + minute * 60_000)
        seen = view(seen.claims, [found, east], classes=CLASSES, now_ms=now)
        seen = after(seen, plan(seen))

    due = view(seen.claims, [sick, east], classes=CLASSES, now_ms=NOW + REPLACE_AFTER_MS)

    assert [type(d) for d in decided(due)] == [Relocate]


def test_a_node_that_its_cluster_hasnt_any_more_is_replaced_too():
    west = leased("west", count=4)
    busy = running(west, count=2, replacement="OnFailure")
    each, found = west
    without = {n: s for n, s in found.nodes.items() if n != "west-0000"}
    gone = frozenset({found.nodes[NodeName("west-0000")].uid})
    first = view([busy], [(each, replace(found, nodes=without, gone=gone))], classes=CLASSES)
    seen = replace(after(first, plan(first)), now_ms=NOW + REPLACE_AFTER_MS)
    (made,) = decided(seen)
    assert isinstance(made, Relocate)
    assert [p.node for p in made.placements] == ["west-0001", "west-0002"]


def test_nodes_that_fail_together_are_not_replaced():
    west = leased("west", count=4)
    busy = running(west, replacement="OnFailure")
    both = on_sick_node(on_sick_node(west), 3, NOW - 300_000)
    first = view([busy], [both], classes=CLASSES)

    (made,) = decided(first)

    assert isinstance(made, Degrade)
    assert "many nodes of the lease failed at once" in made.message
    assert decided(replace(after(first, plan(first)), now_ms=NOW + REPLACE_AFTER_MS)) == []


def test_nodes_that_fail_one_after_the_other_are_replaced():
    west = leased("west", count=4)
    busy = running(west, replacement="OnFailure")
    both = on_sick_node(on_sick_node(west), 3, NOW - 3_600_000)
    first = view([busy], [both], classes=CLASSES)
    seen = replace(after(first, plan(first)), now_ms=NOW + REPLACE_AFTER_MS)
    (made,) = decided(seen)
    assert isinstance(made, Relocate)


fleets = st.tuples(
    st.sampled_from([None, 20, 30, 40]),
    st.sampled_from([None, 30, 50]),
    st.integers(1, 3),
    st.integers(1, 3),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    fleets,
    st.lists(st.sampled_from([4, 8, 8, 16]), max_size=4),
    st.lists(st.sampled_from([0.1, 1, 6, 12, 24]), min_size=2, max_size=6),
    st.sets(st.integers(0, 2), max_size=1),
)
def test_no_node_is_oversold_and_no_claim_outlives_its_leases_while_claims_move(
    ends, asked, ticks, sick
):
    first, second, count, more = ends
    west, east = leased("west", first, count), leased("east", second, more)
    for index in sick:
        west = on_sick_node(west, index) if index < count else west
    claims = [
        as_claim(claim(f"c{i}", gpus=gpus, replacement="OnFailure")) for i, gpus in enumerate(asked)
    ]
    seen = view(claims, [west, east], classes=CLASSES)
    for tick in ticks:
        seen = after(seen, plan(seen))
        seen = replace(seen, claims=tuple(_bound(c) for c in seen.claims))
        on_node: Counter[str] = Counter()
        for each in seen.claims:
            if each.status.allocation is not None and not _over(each):
                for place in all_nodes(each):
                    on_node[place.node_uid] += place.gpus
                until = each.status.allocation.until_time
                for uid in each.status.allocation.lease_uids:
                    last = next(x for x in seen.leases if x.metadata.uid == uid).spec.term.end_time
                    assert last is None or (until is not None and until <= last)
        assert all(gpus <= 8 for gpus in on_node.values())
        seen = replace(seen, now_ms=seen.now_ms + int(tick * HOUR))


def _bound(each: GpuClaim) -> GpuClaim:
    allocation = each.status.allocation
    fresh = allocation is not None and allocation.bound_time is None
    return bound(each, allocation.decided_time) if fresh and allocation else each


def _over(each: GpuClaim) -> bool:
    return each.status.release is not None


def test_a_moved_claim_keeps_what_it_ran_before_for_its_duration():
    west, east = leased("west", 20), leased("east")
    lasting = as_claim(claim("train", schedule={"durationSeconds": 60 * 3_600}))
    begun = view([lasting], [leased("west")], classes=CLASSES)
    reserve_of(plan(begun), lasting)
    busy = running(west, end=20, schedule={"durationSeconds": 60 * 3_600})
    seen = view([busy], [west, east], classes=CLASSES, now_ms=at(1))
    moved = after(seen, plan(seen))
    over = with_notices(replace(moved, now_ms=at(20)))
    (now,) = after(over, plan(over)).claims
    assert now.status.allocation is not None
    assert now.status.allocation.until_time == at(60)
    rest = replace(over, claims=(now,))
    assert not [d for d in decided(rest) if isinstance(d, Extend)]


def test_a_claim_that_maintenance_would_end_is_moved_before_that_too():
    window = {"startTime": format_instant(at(30)), "endTime": format_instant(at(40))}
    west, east = leased("west", maintenance=[window]), leased("east")
    each, found = west
    places = list(found.nodes.values())[:1]
    cause = ReleaseCause.MAINTENANCE
    busy = bound(held(as_claim(), each, places, until_ms=at(30), cause=cause))

    (made,) = decided(view([busy], [west, east], classes=CLASSES, now_ms=at(6)))

    assert isinstance(made, Relocate)
    assert (made.cutover_ms, made.until_ms) == (at(30), None)


def test_a_lease_with_maintenance_ahead_takes_a_claim_up_to_that_if_no_other_lasts():
    window = {"startTime": format_instant(at(80)), "endTime": format_instant(at(90))}
    west, east = leased("west", 40), leased("east", maintenance=[window])
    (made,) = decided(view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(20)))
    assert isinstance(made, Relocate)
    assert (made.until_ms, made.until_cause) == (at(80), ReleaseCause.MAINTENANCE)
