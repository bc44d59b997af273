"""Windows in NVLink domains: a promise is given only if some domain keeps room for it, and it becomes nodes there."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, event, given, settings, strategies as st

from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.times import format_instant
from sublet.api.topology import Scope
from sublet.book.decisions import Extend, Plan, Reserve, Take, Warn
from sublet.book.inventory import Unfit
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import after, inventory, refusal_of, released, reserve_of, view
from tests.builders.racks import GB200, rack, racks
from tests.builders.windows import at

DOMAIN, ANY = {"scope": "NVLinkDomain"}, {"scope": "Any"}
CLASSES = (as_class(gpu_class("gb200", products=(GB200,))),)


def asking(
    name: str, nodes: int, start: float | None, lasts: float, topology=DOMAIN, **spec
) -> GpuClaim:
    schedule: dict[str, object] = {"durationSeconds": int(lasts * 3600)}
    if start is not None:
        schedule["startTime"] = format_instant(at(start))
    body = claim(
        name, class_name="gb200", gpus=4 * nodes, topology=topology, schedule=schedule, **spec
    )
    return as_claim(body)


def seen_by(claims, fleet, **fields) -> View:
    return view(claims, fleet, classes=CLASSES, **fields)


def promised(claims, fleet) -> list[GpuClaim]:
    seen = seen_by(claims, fleet)
    return list(after(seen, plan(seen)).claims)


def domains_of(fleet, made: Reserve) -> set[str | None]:
    cliques = {n.uid: n.clique for _, found in fleet for n in found.nodes.values()}
    return {cliques[p.node_uid] for p in made.placements}


def test_a_promise_names_its_domain_and_becomes_nodes_there():
    fleet = [racks("west", 18, 10)]
    (train,) = promised([asking("train", 12, 4, 2)], fleet)
    assert train.status.allocation is not None
    (booking,) = train.status.allocation.bookings
    assert (booking.domain, booking.nodes) == (rack(0), 12)

    made = reserve_of(plan(seen_by([train], fleet, now_ms=at(4))), train)

    assert domains_of(fleet, made) == {rack(0)}


def test_a_window_that_no_domain_has_room_for_is_refused_though_the_lease_has_nodes():
    fleet = [racks("west", 18, 18)]
    first, second = promised([asking("a", 10, 4, 2), asking("b", 10, 4, 2)], fleet)
    late = asking("late", 10, 5, 2)

    made = plan(seen_by([first, second, late], fleet))

    assert refusal_of(made, late).message.endswith(
        "no NVLink domain has 10 nodes free; the largest has 8"
    )
    assert reserve_of(plan(seen_by([first, second, asking("wide", 16, 5, 2, ANY)], fleet)), asking("wide", 16, 5, 2, ANY)).bookings  # fmt: skip


def test_what_needs_no_domain_leaves_the_nodes_of_a_domain_that_is_promised():
    fleet = [racks("west", 6, plain=2)]
    (train,) = promised([asking("train", 6, 2, 2)], fleet)
    long, short = asking("long", 3, None, 4, ANY), asking("short", 3, None, 1, ANY)

    refused = refusal_of(plan(seen_by([train, long], fleet)), long)

    assert refused.estimated_ms == at(4)
    assert reserve_of(plan(seen_by([train, short], fleet)), short).placements


def test_two_windows_in_two_domains_leave_no_node_for_a_claim_that_meets_both():
    """At each instant one of the two nodes is free, but neither is for the whole time."""
    fleet = [racks("west", 2, 2)]
    one, two = promised([asking("one", 2, 1, 2), asking("two", 2, 1, 2)], fleet)
    assert one.status.allocation.domain != two.status.allocation.domain
    claims = promised([one, asking("later", 2, 3, 2)], fleet)
    claims[1] = _in_other_domain(claims, fleet)
    meets_both = asking("both", 1, 1, 4, ANY)

    assert refusal_of(plan(seen_by([*claims, meets_both], fleet)), meets_both).estimated_ms
    fits = asking("fits", 2, 1, 2, ANY)
    assert reserve_of(plan(seen_by([*claims, fits], fleet)), fits).bookings


def _in_other_domain(claims, fleet) -> GpuClaim:
    """Return the second promise as it would be if it had been made in the domain that the first doesn't have."""
    first, second = claims
    allocation = second.status.allocation
    other = ({rack(0), rack(1)} - {first.status.allocation.domain}).pop()
    bookings = tuple(b.model_copy(update={"domain": other}) for b in allocation.bookings)
    moved = allocation.model_copy(update={"bookings": bookings})
    return second.model_copy(
        update={"status": second.status.model_copy(update={"allocation": moved})}
    )


def test_a_promise_whose_domain_loses_a_node_moves_to_another_domain():
    each, found = racks("west", 6, 6)
    (train,) = promised([asking("train", 6, 4, 2)], [(each, found)])
    mine = train.status.allocation.domain
    ill = next(n for n in found.nodes.values() if n.clique == mine)
    seen = [replace(n, unfit=Unfit.UNHEALTHY) if n is ill else n for n in found.nodes.values()]

    moved = reserve_of(plan(seen_by([train], [(each, inventory(each, seen))])), train)

    assert {b.domain for b in moved.bookings} == {rack(0), rack(1)} - {mine}


def test_a_promise_on_nodes_to_come_moves_into_the_domains_that_they_turn_out_to_have():
    phases = [{"commitmentId": "a", "startTime": format_instant(at(2)), "gpus": 24}]
    west = as_lease(lease("west", product=GB200, commitment={"phases": phases}))
    seen_elsewhere = racks("east", 1, acceptingClaims=False)
    early = [(west, inventory(west, [])), seen_elsewhere]
    claims = promised([asking("train", 6, 4, 2, ANY), asking("close", 3, 4, 2)], early)
    train, close = claims
    assert train.status.allocation is not None
    assert close.status.allocation is None

    _, found = racks("west", 3, 3)
    seen = seen_by([train], [(west, replace(found, lease_uid=west.metadata.uid)), seen_elsewhere], now_ms=at(3))  # fmt: skip
    made = plan(seen)

    moved = reserve_of(made, train)
    assert sorted((b.domain or "", b.nodes) for b in moved.bookings) == [(rack(0), 3), (rack(1), 3)]
    later = replace(after(seen, made), now_ms=at(4))
    assert len(reserve_of(plan(later), train).placements) == 6


def test_a_promise_may_be_made_longer_only_as_far_as_all_its_domains_have_room():
    fleet = [racks("west", 2, 2)]
    train, close = promised([asking("train", 3, 1, 2, ANY), asking("close", 2, 4, 1)], fleet)
    assert close.status.allocation is not None
    schedule = train.spec.schedule.model_copy(update={"duration_seconds": 9 * 3600})
    longer = train.model_copy(update={"spec": train.spec.model_copy(update={"schedule": schedule})})

    (moved,) = plan(seen_by([longer, close], fleet)).decisions

    assert isinstance(moved, Extend)
    assert moved.until_ms == at(4)


# ---- the law --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask:
    """A claim, and when it comes. Windows begin at half hours and end at quarters, others end at whole hours."""

    comes: int
    nodes: int
    topology: dict
    start: float | None
    lasts: float

    @property
    def begins(self) -> float:
        return self.start if self.start is not None else self.comes

    @property
    def ends(self) -> float:
        return self.begins + self.lasts - (0.25 if self.start is not None else 0)


asks = st.lists(
    st.builds(
        Ask,
        comes=st.integers(0, 4),
        nodes=st.sampled_from([1, 1, 2, 2, 3, 4]),
        topology=st.sampled_from([DOMAIN, DOMAIN, ANY, DOMAIN | {"required": False}]),
        start=st.none() | st.integers(1, 5).map(lambda h: h + 0.5),
        lasts=st.integers(1, 4).map(float),
    ),
    min_size=2,
    max_size=10,
)
trays = st.lists(st.integers(1, 4), min_size=1, max_size=3)
fleets = st.lists(st.tuples(trays, st.integers(0, 2)), min_size=1, max_size=2)


def passed(seen: View) -> tuple[View, Plan]:
    """Return the view after a pass whose decisions were carried out, releases to their end."""
    made = plan(seen)
    done = after(seen, made)
    over = {d.claim_uid: d for d in made.decisions if isinstance(d, Take)}
    before = {ClaimUID(c.metadata.uid): c for c in seen.claims}
    claims = tuple(
        released(before[uid], over[uid], seen.now_ms) if (uid := c.metadata.uid) in over else c
        for c in done.claims
    )
    return replace(done, claims=claims), made


def lives(fleet, asked: list[Ask]) -> Iterator[tuple[View, Plan]]:
    """Yield each pass's plan and the view after it, at every instant at which a claim comes, begins or ends."""
    seen = seen_by([], fleet)
    claims = [claim_of(f"c{index}", ask) for index, ask in enumerate(asked)]
    came: set[str] = set()
    instants = {at(hour) for ask in asked for hour in (ask.comes, ask.begins, ask.ends)}
    for now in sorted(instants):
        new = [
            each
            for each, ask in zip(claims, asked, strict=True)
            if at(ask.comes) <= now and each.metadata.uid not in came
        ]
        came |= {each.metadata.uid for each in new}
        seen = replace(seen, now_ms=now, claims=(*seen.claims, *new))
        for _ in range(3):
            seen, made = passed(seen)
            yield seen, made


def claim_of(name: str, ask: Ask) -> GpuClaim:
    return asking(name, ask.nodes, ask.start, ask.ends - ask.begins, ask.topology)


def allocations(seen: View) -> list[tuple[GpuClaim, Allocation]]:
    """Return what is held or promised, and not given back."""
    found = [(c, c.status.allocation) for c in seen.claims if c.status.release is None]
    return [(each, allocation) for each, allocation in found if allocation is not None]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets, asks)
def test_every_promise_becomes_nodes_at_its_start(leased, asked):
    fleet = [racks(f"l{i}", *count, plain=plain) for i, (count, plain) in enumerate(leased)]
    for number, (seen, made) in enumerate(lives(fleet, asked)):
        assert not [d for d in made.decisions if isinstance(d, Warn)]
        begun = [
            allocation
            for each, allocation in allocations(seen)
            if (each.spec.schedule.start_time or 0) <= seen.now_ms
        ]
        assert number % 3 < 2 or not [a for a in begun if a.is_ahead]
        held = Counter(p.node_uid for a in begun for p in a.placements)
        assert all(count == 1 for count in held.values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets, asks)
def test_what_must_have_a_domain_is_in_one_from_its_promise_on(leased, asked):
    fleet = [racks(f"l{i}", *count, plain=plain) for i, (count, plain) in enumerate(leased)]
    cliques = {n.uid: n.clique for _, found in fleet for n in found.nodes.values()}
    for seen, _ in lives(fleet, asked):
        for each, allocation in allocations(seen):
            if each.spec.topology.must_be(Scope.NVLINK_DOMAIN) and each.spec.gpus > 4:
                event(f"ahead: {allocation.is_ahead}")
                found = {cliques[p.node_uid] for p in allocation.placements}
                found |= {b.domain for b in allocation.bookings} if allocation.is_ahead else set()
                assert len(found) == 1
                assert None not in found
