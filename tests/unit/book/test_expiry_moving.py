"""The end of a claim that is on its way to other nodes: it moves as any other's does, for the old nodes and the new."""

import pytest

from sublet.api import claim_status, move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Extend, Take
from tests.builders.api import as_claim, as_tenant, claim, tenant, with_status
from tests.builders.fleet import bound, held, view
from tests.builders.money import account, payer
from tests.builders.moves import decided, leased, running
from tests.builders.windows import ahead, at, promised

COMPLETED, LEASE_ENDED = ReleaseCause.COMPLETED, ReleaseCause.LEASE_ENDED
STOPPED = as_tenant(tenant(suspended=True))


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


def leaving(busy: GpuClaim, to, until: float = 40, end: float | None = None) -> GpuClaim:
    """Return a claim that is to come to another lease's first node when its own lease ends, and until one hour; not ready yet."""
    (place,) = allocation_of(busy).placements
    node = next(iter(to[1].nodes.values()))
    there = {"lease": to[0].metadata.name, "lease_uid": to[0].metadata.uid}
    there |= {"node": node.name, "node_uid": node.uid, "home": 2}
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=at(20),
        cutover_time=at(until),
        until_time=at(end) if end is not None else None,
        until_cause=LEASE_ENDED if end is not None else None,
        placements=(place.model_copy(update=there),),
    )
    return with_status(busy, move_status.moving(busy, move, at(20)))


def ready(each: GpuClaim) -> GpuClaim:
    return with_status(each, move_status.ready_to_move(each, None, at(21)))


def test_a_lease_that_a_claim_outlives_ends_nothing_for_good_when_its_tenant_is_suspended():
    west, east = leased("west", 40), leased("east")
    each = ready(leaving(running(west, end=40), east))

    (made,) = decided(view([each], [west, east], tenants=(STOPPED,), now_ms=at(41)))

    assert isinstance(made, Take)
    assert (made.cause, made.release_ms) == (ReleaseCause.TENANT_SUSPENDED, at(41))


@pytest.mark.parametrize("now", [40, 41])
def test_a_claim_whose_new_nodes_arent_ready_stays_where_its_lease_was_prolonged(now: float):
    west, longer, east = leased("west", 40), leased("west", 400), leased("east")
    each = leaving(running(west, end=40), east)

    assert decided(view([each], [longer, east], now_ms=at(39))) == []
    made = decided(view([each], [longer, east], now_ms=at(now)))

    assert made == [Extend(each.metadata.uid, at(400), LEASE_ENDED)]


def test_a_claim_whose_new_nodes_arent_ready_stays_where_maintenance_was_called_off():
    west, east = leased("west"), leased("east")
    busy = running(west, end=40)
    noted = claim_status.extended(busy, at(40), ReleaseCause.MAINTENANCE, at(20))
    each = leaving(with_status(busy, noted), east)

    made = decided(view([each], [west, east], now_ms=at(40)))

    assert made == [Extend(each.metadata.uid, None, None)]


def test_a_claim_that_goes_on_where_it_is_takes_no_node_that_was_promised():
    west, longer, east = leased("west", 40), leased("west", 400), leased("east")
    each = leaving(running(west, end=40), east)
    windows = [promised(ahead(name, 50, 4, gpus=8), [longer]) for name in ("one", "two")]

    made = decided(view([each, *windows], [longer, east], now_ms=at(40)))

    assert made == [Extend(each.metadata.uid, at(50), LEASE_ENDED)]


def test_what_a_move_was_paid_for_pays_for_the_nodes_that_a_claim_stays_on():
    west, longer, east = leased("west", 40), leased("west", 400), leased("east", 100)
    each = leaving(running(west, end=40), east, end=100)
    hourly = 8 * allocation_of(each).price_per_gpu_hour
    rich = payer(str(100 * hourly), period="Total")
    money = {"tenants": (rich,), "accounts": account(of=rich)}

    made = decided(view([each], [longer, east], now_ms=at(40), **money))

    assert made == [Extend(each.metadata.uid, at(100), ReleaseCause.BUDGET_EXHAUSTED)]


def test_a_lease_that_was_prolonged_puts_off_no_end_that_a_spent_budget_brings():
    west, longer, east = leased("west", 40), leased("west", 400), leased("east")
    each = leaving(running(west, end=40), east)
    spent = ReleaseCause.BUDGET_EXHAUSTED
    noticed = with_status(each, claim_status.extended(each, at(30), spent, at(29)))

    (made,) = decided(view([noticed], [longer, east], now_ms=at(30)))

    assert isinstance(made, Take)
    assert made.cause is spent
