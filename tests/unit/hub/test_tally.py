"""Counts that are kept as claims change are those that all claims give."""

from hypothesis import given, strategies as st

from sublet.api.gpuclaim import Booking, GpuClaim
from sublet.api.times import Millis, format_instant
from sublet.book.holdings import Term, holds
from sublet.book.steps import FOREVER
from sublet.fleet.conditions import Held
from sublet.hub.state import Shelf
from sublet.hub.tally import Tally
from tests.builders.api import NOW, as_claim, as_lease, as_tenant, claim, lease, uid_of
from tests.builders.fleet import held, nodes
from tests.builders.restored import adopted, on_the_wire, restored
from tests.builders.unread import holds_by_newer

WEST = as_lease(lease("west"))
NODES = nodes(WEST, 3)
ENDS = (None, Millis(NOW - 1), Millis(NOW + 60_000))


def versions(index: int, number: int, end: int, *, holds: bool, bound: bool) -> GpuClaim:
    """Return a version of one of a few claims."""
    base = as_claim(claim(f"c{index}"), resourceVersion=str(number))
    if not holds:
        return base
    found = held(base, WEST, NODES[index : index + 1], until_ms=ENDS[end])
    if not bound or found.status.allocation is None:
        return found
    allocation = found.status.allocation.model_copy(update={"bound_time": NOW})
    return found.model_copy(
        update={"status": found.status.model_copy(update={"allocation": allocation})}
    )


changes = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 5)
    ),
    max_size=12,
)


@given(changes)
def test_counts_that_are_kept_are_those_that_all_claims_give(changed):
    claims = Shelf(GpuClaim, lambda: None)
    tally = Tally(claims)
    for number, (index, end, holding, bound, fate) in enumerate(changed, start=1):
        each = versions(index, number, end, holds=holding, bound=bound)
        if fate == 0:
            claims.drop(each.metadata.uid)
        else:
            claims.put(each)
        if fate % 2:
            tally.renew()
    tally.renew()
    anew = Tally(claims)
    anew.renew()
    uid = WEST.metadata.uid
    assert +tally.leases == +anew.leases
    assert +tally.classes == +anew.classes
    assert +tally.tenants == +anew.tenants
    assert tally.held(uid, NOW) == anew.held(uid, NOW)


def test_reserved_and_bound_gpus_are_told_apart_with_their_ends():
    claims = Shelf(GpuClaim, lambda: None)
    tally = Tally(claims)
    claims.put(versions(0, 1, 2, holds=True, bound=False))
    claims.put(versions(1, 1, 1, holds=True, bound=True))
    tally.renew()
    assert tally.leases[WEST.metadata.uid] == 2
    assert tally.held(WEST.metadata.uid, NOW) == Held(
        8, 8, (Term(Millis(NOW + 60_000), 8), Term(FOREVER, 8))
    )


def test_a_promise_counts_from_its_start_on_and_uses_its_lease():
    start = Millis(NOW + 3_600_000)
    asked = as_claim(claim("p", schedule={"startTime": format_instant(start)}))
    ahead = held(asked, WEST, ())
    allocation = ahead.status.allocation
    assert allocation is not None
    booked = allocation.model_copy(update={"bookings": (_booking(),)})
    claims = Shelf(GpuClaim, lambda: None)
    claims.put(
        ahead.model_copy(update={"status": ahead.status.model_copy(update={"allocation": booked})})
    )
    tally = Tally(claims)
    tally.renew()
    assert tally.held(WEST.metadata.uid, NOW).terms == (Term(FOREVER, 16, start),)
    assert tally.held(uid_of("another"), NOW) == Held()


def test_a_claim_that_cant_be_read_keeps_lease_class_and_tenant_until_it_is_gone():
    claims: Shelf[GpuClaim] = Shelf(GpuClaim, lambda: None)
    tally = Tally(claims)
    body = holds_by_newer(versions(0, 1, 0, holds=True, bound=True))
    claims.take(body)
    for _ in range(2):
        tally.renew()
        assert tally.leases[WEST.metadata.uid] == 1
        assert (+tally.classes, +tally.tenants) == ({"h100": 1}, {as_tenant().metadata.uid: 1})
        assert tally.held(WEST.metadata.uid, NOW).unread == ("acme/c0",)

    claims.drop(body["metadata"]["uid"])
    tally.renew()
    assert (+tally.leases, +tally.classes, +tally.tenants) == ({}, {}, {})


def test_one_that_was_read_before_counts_once_for_each_lease_that_either_version_names():
    east = as_lease(lease("east"))
    known = versions(0, 1, 0, holds=True, bound=True)
    claims: Shelf[GpuClaim] = Shelf(GpuClaim, lambda: None, stays=holds)
    tally = Tally(claims)
    claims.put(known)
    claims.take(holds_by_newer(held(as_claim(claim("c0")), east, nodes(east, 1))))
    for _ in range(2):
        tally.renew()
        assert +tally.leases == {WEST.metadata.uid: 1, east.metadata.uid: 1}
        assert (+tally.classes, +tally.tenants) == ({"h100": 1}, {as_tenant().metadata.uid: 1})
        assert tally.held(east.metadata.uid, NOW).unread == ("acme/c0",)

    claims.take(holds_by_newer(known, "1000"))
    tally.renew()
    assert +tally.leases == {WEST.metadata.uid: 1}
    assert tally.held(WEST.metadata.uid, NOW).unread == ("acme/c0",)


def _booking() -> Booking:
    return Booking(
        lease="west",
        lease_uid=WEST.metadata.uid,
        product=WEST.spec.product,
        nodes=2,
        gpus_per_node=8,
    )


def test_a_restored_claim_that_waits_to_be_adopted_holds_what_it_held_until_it_is_gone():
    claims: Shelf[GpuClaim] = Shelf(GpuClaim, lambda: None)
    tally = Tally(claims)
    saved = on_the_wire(versions(0, 1, 0, holds=True, bound=True))
    claims.take(restored(saved))
    for _ in range(2):
        tally.renew()
        assert tally.leases[WEST.metadata.uid] == 1
        assert tally.held(WEST.metadata.uid, NOW).bound == 8

    claims.take(adopted(restored(saved)))
    tally.renew()
    assert tally.leases[WEST.metadata.uid] == 1

    claims.drop(uid_of("new"))
    tally.renew()
    assert tally.leases[WEST.metadata.uid] == 0
