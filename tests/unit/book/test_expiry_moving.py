"""The end of a claim that is on its way to other nodes: it moves as any other's does, for the old nodes and the new."""

from sublet.api import claim_status, move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Extend, Take
from tests.builders.api import as_claim, as_tenant, claim, tenant
from tests.builders.fleet import bound, held, view
from tests.builders.moves import decided, leased, running
from tests.builders.windows import ahead, at, promised

COMPLETED = ReleaseCause.COMPLETED
STOPPED = as_tenant(tenant(suspended=True))


def with_status(each: GpuClaim, status: ClaimStatus) -> GpuClaim:
    return each.model_copy(update={"status": status})


def moving(pair, *, asks: float, until: float) -> GpuClaim:
    """Return a claim that was promised its node until one hour, asks for others, and is to have the lease's second node."""
    each, found = pair
    old, new, *_ = found.nodes.values()
    body = claim("train", gpus=8, schedule={"durationSeconds": int(asks * 3_600)})
    runs = bound(held(as_claim(body), each, [old], until_ms=at(until)))
    (place,) = allocation_of(runs).placements
    move = Move(
        sequence=2,
        cause=MoveCause.NODE_FAILED,
        decided_time=at(1),
        until_time=at(until),
        until_cause=COMPLETED,
        placements=(place.model_copy(update={"node": new.name, "node_uid": new.uid, "home": 1}),),
    )
    return with_status(runs, move_status.moving(runs, move, at(1)))


def extended(each: GpuClaim, until: float, cause: ReleaseCause = COMPLETED) -> GpuClaim:
    return with_status(each, claim_status.extended(each, at(until), cause, at(2)))


def ends(each: GpuClaim) -> tuple[Millis | None, Millis | None]:
    """Return when a claim ends on the nodes that it has, and on those that it comes to."""
    return allocation_of(each).until_time, move_status.move_of(each).until_time


def test_a_longer_duration_is_granted_on_the_way_also_at_the_very_end():
    west = leased("west")
    each = moving(west, asks=20, until=10)

    for now in (9, 10, 11):
        made = decided(view([each], [west], now_ms=at(now)))
        assert made == [Extend(each.metadata.uid, at(20), COMPLETED)]


def test_what_is_granted_on_the_way_holds_after_the_cutover():
    west = leased("west")
    longer = extended(moving(west, asks=20, until=10), 20)
    assert ends(longer) == (at(20), at(20))

    ready = with_status(longer, move_status.ready_to_move(longer, None, at(11)))
    over = with_status(ready, move_status.cut_over(ready, at(11), at(11)))

    assert allocation_of(over).until_time == at(20)
    assert decided(view([over], [west], now_ms=at(12))) == []


def test_what_the_new_nodes_are_promised_for_is_not_granted():
    west = leased("west")
    window = promised(ahead("window", 12, 4), [west])
    each = moving(west, asks=20, until=10)

    made = decided(view([each, window], [west], now_ms=at(9)))

    assert made == [Extend(each.metadata.uid, at(12), ReleaseCause.LEASE_ENDED)]


def test_new_nodes_that_go_sooner_bring_no_end_nearer_before_the_cutover():
    west, soon = leased("west"), leased("soon", 6)
    each = moving(west, asks=20, until=10)
    (place,) = move_status.move_of(each).placements
    there = place.model_copy(update={"lease": "soon", "lease_uid": soon[0].metadata.uid})
    move = move_status.move_of(each).model_copy(update={"placements": (there,)})
    each = with_status(each, each.status.model_copy(update={"move": move}))

    assert decided(view([each], [west, soon], now_ms=at(5))) == []
    assert decided(view([each], [west, soon], now_ms=at(7))) == []


def test_a_shorter_duration_holds_on_the_way_and_may_be_taken_back():
    west = leased("west")
    shorter = extended(moving(west, asks=20, until=10), 5)
    assert ends(shorter) == (at(5), at(5))

    made = decided(view([shorter], [west], now_ms=at(4)))

    assert made == [Extend(shorter.metadata.uid, at(20), COMPLETED)]


def test_an_end_that_somebody_else_brings_nearer_leaves_the_moves_as_it_is():
    each = moving(leased("west"), asks=10, until=10)

    assert ends(extended(each, 5, ReleaseCause.PREEMPTED)) == (at(5), at(10))


def test_a_lease_that_a_claim_outlives_ends_nothing_for_good_when_its_tenant_is_suspended():
    west, east = leased("west", 40), leased("east")
    busy = running(west, end=40)
    (place,) = allocation_of(busy).placements
    uid, (node, *_) = east[0].metadata.uid, east[1].nodes.values()
    there = {"lease": "east", "lease_uid": uid, "node": node.name, "node_uid": node.uid, "home": 2}
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=at(20),
        cutover_time=at(40),
        placements=(place.model_copy(update=there),),
    )
    ready = with_status(busy, move_status.moving(busy, move, at(20)))
    ready = with_status(ready, move_status.ready_to_move(ready, None, at(21)))

    (made,) = decided(view([ready], [west, east], tenants=(STOPPED,), now_ms=at(41)))

    assert isinstance(made, Take)
    assert (made.cause, made.release_ms) == (ReleaseCause.TENANT_SUSPENDED, at(41))
