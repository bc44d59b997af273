"""Windows, promises, phases and ends against an exhaustive search in time: what is granted, how much, and from when."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, event, given, settings, strategies as st

from sublet.api.gpuclaim import Booking, GpuClaim
from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.ids import ClusterUID
from sublet.api.pending import PendingReason
from sublet.api.times import format_instant
from sublet.book.decisions import Decision, Extend, Refuse, Reserve
from sublet.book.inventory import LeaseInventory
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import (
    LONG_AGO,
    NOW,
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    gpu_class,
    lease,
    tenant,
)
from tests.builders.fleet import after, held, inventory, nodes, view
from tests.builders.timetable import Timetable, Window
from tests.builders.windows import HOUR, ahead, at

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""
NAMES = ("acme", "globex")
LENGTHS = st.sampled_from([0.5, 1, 1.5, 2, 3, 4, 6])


@st.composite
def leases(draw: st.DrawFn, index: int) -> tuple[GpuLease, LeaseInventory]:
    """Return a lease of nodes of one size: it may grow or shrink, begin later, end, ask for rests and leads."""
    size, count = draw(st.sampled_from([4, 8, 8])), draw(st.integers(1, 3))
    levels = [draw(st.integers(0, count + 1)) * size for _ in range(draw(st.integers(1, 3)))]
    grows = draw(st.booleans())
    if not grows:
        levels = [min(gpus, count * size) for gpus in levels]
    levels.sort(reverse=not grows)
    hours = sorted(draw(st.sets(st.integers(1, 5), min_size=2, max_size=2)))
    starts = [LONG_AGO, *(format_instant(at(h)) for h in hours)]
    term: dict[str, Any] = {
        "startTime": draw(st.sampled_from([LONG_AGO, LONG_AGO, LONG_AGO, format_instant(at(1))])),
        "quarantineSeconds": draw(st.sampled_from([0, 0, 1800])),
        "reclaimLeadSeconds": draw(st.sampled_from([0, 1800, 3600])),
    }
    end = draw(st.sampled_from([None, None, 4, 6, 9]))
    body = lease(
        f"l{index}",
        end=format_instant(at(end)) if end else None,
        term=term,
        tenantAlias=draw(st.sampled_from(["x", f"l{index}"])),
        nodeSharing=draw(st.sampled_from([*NodeSharing])).value,
        tenantAccess={"egress": draw(st.sampled_from(["None", "None", "Internet"]))},
        commitment={
            "phases": [
                {"commitmentId": f"p{i}", "startTime": start, "gpus": gpus}
                for i, (start, gpus) in enumerate(zip(starts, levels, strict=False))
            ]
        },
    )
    each = as_lease(body)
    cluster = ClusterUID(draw(st.sampled_from(["one", "two", f"c{index}"])))
    return each, inventory(each, nodes(each, count, gpus=size), cluster_uid=cluster)


@st.composite
def holders(draw: st.DrawFn, each: GpuLease, found: LeaseInventory) -> list[GpuClaim]:
    """Return claims on some of a lease's nodes, two on one node now and then."""
    holding = []
    last = each.spec.term.last_usable_ms()
    if each.spec.term.start_time > NOW:
        return []
    for node in found.nodes.values():
        left = node.gpus
        for index in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
            lasts = draw(LENGTHS)
            gpus = draw(st.sampled_from([left, left, 1, 2]))
            if not 0 < gpus <= left or (last is not None and at(lasts) > last):
                continue
            left -= gpus
            owner = draw(st.sampled_from(NAMES))
            schedule = {"durationSeconds": int(lasts * 3600)}
            body = claim(f"held-{node.name}-{index}", owner, gpus=gpus, schedule=schedule)
            holding.append(
                held(as_claim(body), each, [node], gpus=gpus, until_ms=at(lasts), tenant_name=owner)
            )
    return holding


@st.composite
def fleets(draw: st.DrawFn, most: int = 3) -> View:
    """Return leases that some claims hold nodes of, and others were promised windows on."""
    fleet = [draw(leases(i)) for i in range(draw(st.integers(1, most)))]
    holding = [c for each, found in fleet for c in draw(holders(each, found))]
    longest = draw(st.sampled_from([None, None, 3 * 3600]))
    quota = draw(st.sampled_from([None, None, None, 6, 12, 20]))
    quotas = [{"className": "h100", "gpus": quota}] if quota is not None else []
    seen = view(
        holding,
        fleet,
        classes=(as_class(gpu_class(maxDurationSeconds=longest)),),
        tenants=tuple(as_tenant(tenant(n, namespaces=(n,), quotas=quotas)) for n in NAMES),
    )
    for index in range(draw(st.integers(0, 3))):
        promise = draw(promises(seen, f"promised{index}"))
        if promise is not None:
            seen = replace(seen, claims=(*seen.claims, promise))
    return seen


@st.composite
def promises(draw: st.DrawFn, seen: View, name: str) -> GpuClaim | None:
    """Return a promise that can be kept beside all others, None if what was drawn can't."""
    start, lasts = draw(st.sampled_from([0.5, 1, 2, 3, 4])), draw(LENGTHS)
    table = Timetable(seen, ahead(name, start, lasts))
    stock = draw(st.sampled_from(table.stocks))
    gpus = draw(st.sampled_from([stock.size, stock.size, 2]))
    count = draw(st.integers(1, 2)) if gpus == stock.size else 1
    window = Window(at(start), at(start + lasts), count, gpus)
    term = stock.lease.spec.term
    if window.end > stock.last or window.begin < term.start_time:
        return None
    if not (stock.can_keep([window]) and stock.is_covered([window], NOW)):
        return None
    each = ahead(name, start, lasts, gpus=count * gpus)
    found = held(each, stock.lease, [], until_ms=window.end)
    booking = Booking(
        lease=stock.lease.spec.tenant_alias,
        lease_uid=stock.lease.metadata.uid,
        product=stock.lease.spec.product,
        nodes=count,
        gpus_per_node=gpus,
    )
    allocation = found.status.allocation.model_copy(update={"bookings": (booking,)})
    return found.model_copy(
        update={"status": found.status.model_copy(update={"allocation": allocation})}
    )


@st.composite
def busy_fleets(draw: st.DrawFn) -> View:
    """Return leases of equal nodes that may all join in one claim and become free at different times."""
    fleet, holding = [], []
    for index in range(draw(st.integers(2, 3))):
        end = draw(st.sampled_from([None, None, 4, 6, 9]))
        each = as_lease(lease(f"l{index}", end=format_instant(at(end)) if end else None))
        found = inventory(each, nodes(each, draw(st.integers(1, 2))))
        fleet.append((each, found))
        holding += draw(holders(each, found))
    tenants = tuple(as_tenant(tenant(n, namespaces=(n,))) for n in NAMES)
    return view(holding, fleet, tenants=tenants)


@st.composite
def questions(draw: st.DrawFn) -> View:
    """Return a fleet and, as its first claim, one that asks: now or ahead, all or at least so many."""
    seen = draw(fleets() | busy_fleets())
    gpus = draw(st.sampled_from([1, 2, 4, 8, 8, 12, 16, 16, 24, 32]))
    spec: dict[str, Any] = {
        "topology": {
            "scope": draw(st.sampled_from(["Any", "Any", "Cluster", "Node"])),
            "required": draw(st.booleans()),
        }
    }
    if draw(st.booleans()):
        spec["minGpus"] = draw(st.integers(1, gpus))
    per_node = draw(st.sampled_from([None, None, None, 2, 4, 8]))
    if per_node is not None and gpus % per_node == 0:
        spec["gpusPerNode"] = per_node
    schedule: dict[str, Any] = {}
    lasts, start = draw(st.none() | LENGTHS), draw(st.sampled_from([None, None, 0.5, 1, 2.5, 4]))
    longest = seen.classes[0].spec.max_duration_seconds
    if lasts is not None and longest is not None:
        lasts = min(lasts, longest / 3600)
    if lasts is not None:
        schedule["durationSeconds"] = int(lasts * 3600)
    if start is not None:
        schedule["startTime"] = format_instant(at(start))
    asked = as_claim(claim("asked", gpus=gpus, schedule=schedule, **spec))
    return replace(seen, claims=(asked, *seen.claims))


def ending(each: GpuClaim) -> int:
    allocation = each.status.allocation
    assert allocation is not None
    assert allocation.until_time is not None
    return allocation.until_time


def lasts_of(asked: GpuClaim) -> int | None:
    seconds = asked.spec.schedule.duration_seconds
    return seconds * 1000 if seconds is not None else None


def answer(seen: View) -> Decision:
    return next(d for d in plan(seen).decisions if d.claim_uid == seen.claims[0].metadata.uid)


def largest(seen: View) -> int:
    """Return the largest number of GPUs that the claim takes and that there is a place for, 0 if there is none."""
    asked, table = seen.claims[0], Timetable(seen, seen.claims[0])
    begin = asked.spec.schedule.start_time or NOW
    least = asked.spec.min_gpus or asked.spec.gpus
    found = (
        g for g in range(asked.spec.gpus, least - 1, -1) if table.fits(g, begin, lasts_of(asked))
    )
    return next(found, 0)


@settings(UNTIMED, max_examples=100)
@given(questions())
def test_a_claim_gets_the_largest_part_of_what_it_takes_that_there_is_room_for(seen: View):
    made = answer(seen)
    granted = 0
    if isinstance(made, Reserve):
        granted = sum(p.gpus for p in made.placements)
        granted += sum(b.nodes * b.gpus_per_node for b in made.bookings)
    event(f"granted {'all' if granted == seen.claims[0].spec.gpus else bool(granted)}")

    assert granted == largest(seen)


@settings(UNTIMED, max_examples=100)
@given(questions())
def test_a_wish_for_one_node_or_one_cluster_is_granted_where_it_can_be(seen: View):
    made, asked = answer(seen), seen.claims[0]
    if not isinstance(made, Reserve):
        return
    table = Timetable(seen, asked)
    granted = sum(p.gpus for p in made.placements)
    granted += sum(b.nodes * b.gpus_per_node for b in made.bookings)
    places = table.clusters(granted, asked.spec.schedule.start_time or NOW, lasts_of(asked))
    count = len(made.placements) + sum(b.nodes for b in made.bookings)
    clusters = len({s.cluster for s in table.stocks if s.lease.metadata.uid in made.lease_uids})

    if asked.spec.topology.scope == "Node" and any(n == 1 for _, n in places):
        assert count == 1
    if asked.spec.topology.scope == "Cluster":
        assert clusters == min(c for c, _ in places)


@settings(UNTIMED, max_examples=100)
@given(questions())
def test_whatever_is_granted_every_promise_can_still_be_kept(seen: View):
    later = after(seen, plan(seen))
    onlooker = as_claim(claim("onlooker"))
    table = Timetable(replace(later, claims=(onlooker, *later.claims)), onlooker)

    assert all(stock.can_keep() for stock in table.stocks)
    assert all(c in later.claims for c in seen.claims[1:] if c.status.allocation.is_ahead)


@settings(UNTIMED, max_examples=100)
@given(questions())
def test_a_refused_claim_is_told_the_first_instant_from_which_there_is_room(seen: View):
    unlimited = tuple(
        t.model_copy(update={"spec": t.spec.model_copy(update={"quotas": ()})})
        for t in seen.tenants
    )
    seen = replace(seen, tenants=unlimited)
    made, asked = answer(seen), seen.claims[0]
    if not isinstance(made, Refuse) or made.reason is not PendingReason.WAITING_FOR_CAPACITY:
        return
    table = Timetable(seen, asked)
    begin = asked.spec.schedule.start_time or NOW
    expected = next(
        (
            instant
            for instant in table.edges()
            if instant > begin and table.fits(asked.spec.gpus, instant, lasts_of(asked))
        ),
        None,
    )
    event(f"sees a start: {expected is not None}")

    assert made.estimated_ms == expected


@settings(UNTIMED, max_examples=100)
@given(fleets(), st.data())
def test_an_extension_reaches_as_far_as_every_instant_allows(seen: View, data: st.DataObject):
    holding = [c for c in seen.claims if not c.status.allocation.is_ahead]
    if not holding:
        return
    train = data.draw(st.sampled_from(holding))
    before = ending(train)
    asks = before - NOW + data.draw(st.sampled_from([1, 2, 8])) * HOUR
    longest = seen.classes[0].spec.max_duration_seconds
    schedule = train.spec.schedule.model_copy(update={"duration_seconds": asks // 1000})
    longer = train.model_copy(update={"spec": train.spec.model_copy(update={"schedule": schedule})})
    seen = replace(seen, claims=tuple(longer if c is train else c for c in seen.claims))
    made = [d for d in plan(seen).decisions if d.claim_uid == train.metadata.uid]
    wanted = int(NOW + asks)
    if longest is not None:
        wanted = min(wanted, max(before, NOW + longest * 1000))

    (place,) = train.status.allocation.placements
    others = replace(seen, claims=tuple(c for c in seen.claims if c is not longer))
    table = Timetable(others, longer)
    stock = next(s for s in table.stocks if s.lease.metadata.uid == place.lease_uid)

    def may_stay(until: int) -> bool:
        beyond = Window(before, until, 1, place.gpus)
        taken = {place.node: max(stock.free_from[place.node], until + stock.rest)}
        covered = stock.is_covered([beyond], NOW)
        has_room = until <= stock.last and covered and stock.can_keep(taken=taken)
        return has_room and table.is_within_quota(place.gpus, before, until)

    instants = {wanted, stock.last, *stock.edges(), *(e - stock.rest for e in stock.edges())}
    instants |= {w.begin for w in table.mine}
    possible = [e for e in instants if before < e <= wanted and may_stay(e)]
    event(f"extended: {bool(possible)}, in full: {wanted in possible}")

    assert [d.until_ms for d in made] == ([max(possible)] if possible else [])
    assert all(isinstance(d, Extend) for d in made)
