"""A book that decides only what is new decides it as one that plans everything anew."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Notice, Plan, Refuse, Take, Warn
from sublet.book.inventory import Holding, LeaseInventory, NodeState
from sublet.book.plan import plan
from sublet.book.steps import FOREVER
from sublet.book.view import View
from sublet.book.warm import SOON_MS, Book
from tests.builders.api import (
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
from tests.builders.fleet import (
    after,
    held,
    inventory,
    nodes,
    refusal_of,
    released,
    reserve_of,
    view,
)
from tests.builders.warming import (
    HOUR,
    QUIET,
    TENANTS,
    UNTIMED,
    Step,
    bound,
    happens,
    newcomers,
    steps,
    views,
)

pytestmark = pytest.mark.timeout(600)  # a busy machine is no failure


def moves(made: Plan) -> list[Any]:
    """Return the decisions that change who holds what."""
    return [d for d in made.decisions if not isinstance(d, Refuse | Warn | Notice)]


def of(made: Plan, uids: set[str]) -> list[Any]:
    return [d for d in made.decisions if d.claim_uid in uids]


def agrees(book: Book, seen: View, new: tuple[GpuClaim, ...]) -> Plan:
    """Return the book's plan, which says of new claims what one made anew says, and moves nothing else."""
    made, anew = book.plan(seen), plan(seen)
    assert moves(made) == moves(anew)
    uids = {c.metadata.uid for c in new}
    assert of(made, uids) == of(anew, uids)
    if book.is_full:
        assert made == anew
    else:
        told = [d for d in made.decisions if isinstance(d, Notice)]
        assert all(notice in anew.decisions for notice in told)
        assert (made.next_due_ms or FOREVER) <= (anew.next_due_ms or FOREVER)
    return made


def test_newcomers_are_decided_as_by_a_pass_over_everything_and_some_without_one():
    decided: Counter[tuple[str, bool]] = Counter()

    @settings(UNTIMED, max_examples=70)
    @given(views(), steps)
    def law(seen: View, history: list[Step]) -> None:
        book = Book()
        for number, step in enumerate(history):
            seen = happens(step, replace(seen, now_ms=Millis(seen.now_ms + step.milliseconds)))
            new = newcomers(step, seen, number)
            seen = replace(seen, claims=(*seen.claims, *new))
            made = agrees(book, seen, new)
            if number and step.fate in QUIET:
                uids = {c.metadata.uid for c in new}
                decided.update((type(d).__name__, book.is_full) for d in of(made, uids))
            seen = after(seen, made)

    law()
    for kind in ("Reserve", "Refuse"):
        assert decided[kind, False], "no example decides without a full pass"


crowds = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), min_size=34, max_size=90)


@settings(UNTIMED, max_examples=40)
@given(
    crowds,
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), min_size=1, max_size=4),
    st.lists(st.sampled_from([0, 1, 2]), min_size=3, max_size=3),
    st.lists(st.sampled_from([None, 1, 2]), min_size=3, max_size=3),
    st.sampled_from([None, 4, 16]),
)
def test_a_newcomer_takes_its_turn_among_many_that_wait(waiting, coming, held_by, ends, quota):
    fleet = small_fleet(3)
    each, found = fleet[0]
    full = [
        held(
            as_claim(claim(f"h{i}", schedule={"durationSeconds": hours * 3_600} if hours else {})),
            each,
            [node],
            tenant_name=TENANTS[who],
            until_ms=Millis(NOW + hours * HOUR) if hours else None,
        )
        for i, (who, node, hours) in enumerate(
            zip(held_by, found.nodes.values(), ends, strict=True)
        )
    ]
    seen = view([*full, *asking("w", waiting, NOW)], fleet, tenants=everybody(quota))
    book = Book()
    book.plan(seen)
    now = Millis(NOW + 1_000)
    new = asking("n", coming, now)
    agrees(book, replace(seen, claims=(*seen.claims, *new), now_ms=now), new)


def test_a_newcomer_behind_many_that_nobody_looks_at_is_decided_alone():
    fleet = small_fleet(1)
    busy = held(as_claim(claim("busy")), *fleet_of(fleet), tenant_name=TENANTS[0])
    tenants = everybody()
    many = [(i % 2, 1) for i in range(160)]
    seen = view([busy, *asking("w", many, NOW)], fleet, tenants=tenants)
    book = Book()
    book.plan(seen)
    now = Millis(NOW + 1_000)
    new = asking("n", [(1, 1)], now)

    made = agrees(book, replace(seen, claims=(*seen.claims, *new), now_ms=now), new)

    assert not book.is_full
    assert refusal_of(made, new[0]).position == 81


def test_a_newcomer_that_would_be_looked_at_before_its_namespace_had_its_looks_is_planned_anew():
    quotas = [{"className": name, "gpus": 4} for name in ("h100", "other")]
    acme = as_tenant(tenant(quotas=quotas, priorityClasses=["low", "high"]))
    seen = view(
        asking("w", [(0, 8)] * 100, NOW),
        small_fleet(1),
        tenants=(acme,),
        classes=(as_class(), as_class(gpu_class("other"))),
        priorities={"low": 0, "high": 1},
    )
    book = Book()
    book.plan(seen)
    seen, new = with_new(seen, class_name="other", priorityClassName="high")

    made = agrees(book, seen, (new,))

    assert book.is_full
    assert [o.gpus for o in refusal_of(made, new).offers] == [4]


def asking(stem: str, asked: list[tuple[int, int]], now: Millis) -> tuple[GpuClaim, ...]:
    created = format_instant(now)
    return tuple(
        as_claim(claim(f"{stem}{i}", TENANTS[who], gpus=gpus), creationTimestamp=created)
        for i, (who, gpus) in enumerate(asked)
    )


def everybody(quota: int | None = None) -> tuple[GpuTenant, ...]:
    quotas = [{"className": "h100", "gpus": quota}] if quota is not None else []
    return tuple(as_tenant(tenant(name, namespaces=(name,), quotas=quotas)) for name in TENANTS)


def small_fleet(count: int) -> list[tuple[GpuLease, LeaseInventory]]:
    each = as_lease(lease("west"))
    return [(each, inventory(each, nodes(each, count)))]


def told(seen: View, book: Book) -> View:
    """Return the view after a plan that was carried out."""
    return after(seen, book.plan(seen))


def for_an_hour(name: str) -> GpuClaim:
    return as_claim(claim(name, schedule={"durationSeconds": 3_600}))


def with_new(seen: View, name: str = "new", **spec: Any) -> tuple[View, GpuClaim]:
    new = as_claim(claim(name, **spec), creationTimestamp=format_instant(seen.now_ms))
    return replace(seen, claims=(*seen.claims, new)), new


def test_a_new_claim_is_decided_alone():
    book = Book()
    seen = told(view([as_claim(claim("a"))], small_fleet(3)), book)
    seen, new = with_new(seen)
    made = book.plan(seen)
    assert not book.is_full
    assert made.decisions == (reserve_of(plan(seen), new),)


def test_what_the_book_decided_is_bound_and_booked_without_a_new_pass():
    book = Book()
    seen = bound(told(view([as_claim(claim("a"))], small_fleet(3)), book))
    assert book.plan(seen).decisions == ()
    assert not book.is_full


def test_a_book_of_a_node_that_says_more_than_was_decided_is_planned_anew():
    book = Book()
    seen = told(view([as_claim(claim("a"))], small_fleet(3)), book)
    uid, found = next(iter(seen.inventories.items()))
    name = list(found.nodes)[-1]
    stranger = replace(found.nodes[name], holdings=(Holding(ClaimUID("x"), 8),))
    nodes_now = {**found.nodes, name: stranger}
    book.plan(replace(seen, inventories={uid: replace(found, nodes=nodes_now)}))
    assert book.is_full


def test_a_reservation_that_the_hub_refused_is_decided_anew():
    book = Book()
    seen = view([as_claim(claim("a"))], small_fleet(3))
    first = book.plan(seen)
    assert book.plan(seen) == first
    assert book.is_full


def test_a_claim_that_goes_is_planned_anew():
    book = Book()
    seen = told(view([as_claim(claim("a")), as_claim(claim("b"))], small_fleet(3)), book)
    book.plan(seen)
    book.plan(replace(seen, claims=seen.claims[:1]))
    assert book.is_full


def test_an_ended_claim_that_goes_changes_nothing():
    ended = released(
        held(as_claim(claim("b")), small_fleet(1)[0][0], ()),
        Take(ClaimUID(""), ReleaseCause.COMPLETED, NOW),
    )
    book = Book()
    seen = view(
        [
            as_claim(
                claim("a"),
            ),
            ended,
        ],
        small_fleet(3),
    )
    seen = told(seen, book)
    assert book.plan(replace(seen, claims=seen.claims[:1])).decisions == ()
    assert not book.is_full


def test_at_the_next_due_time_all_is_planned_anew():
    book = Book()
    seen = told(view([for_an_hour("a")], small_fleet(3)), book)
    due = book.plan(seen).next_due_ms
    assert due == NOW + HOUR
    book.plan(replace(seen, now_ms=Millis(due - 1)))
    assert not book.is_full
    book.plan(replace(seen, now_ms=due))
    assert book.is_full


def test_a_clock_that_goes_back_is_planned_anew():
    book = Book()
    seen = told(view([as_claim(claim("a"))], small_fleet(3)), book)
    book.plan(replace(seen, now_ms=Millis(NOW - 1)))
    assert book.is_full


def test_a_claim_in_front_of_one_that_room_is_kept_for_is_planned_anew():
    book = Book()
    fleet = small_fleet(1)
    busy = held(for_an_hour("busy"), *fleet_of(fleet), until_ms=Millis(NOW + HOUR))
    tenants = (as_tenant(tenant(priorityClasses=["low", "high"])),)
    blocked = as_claim(claim("blocked", priorityClassName="low"))
    seen = view([busy, blocked], fleet, tenants=tenants, priorities={"low": 0, "high": 1})
    book.plan(seen)
    book.plan(seen)
    assert not book.is_full
    seen, new = with_new(seen, priorityClassName="high")
    assert refusal_of(book.plan(seen), new).position == 1
    assert book.is_full


def test_those_that_wait_are_told_soon_that_somebody_got_room():
    book = Book()
    fleet = small_fleet(2)
    each, (first, _) = fleet[0][0], fleet[0][1].nodes.values()
    busy = held(for_an_hour("busy"), each, [first], until_ms=Millis(NOW + HOUR))
    seen = view([busy, as_claim(claim("blocked", gpus=16))], fleet)
    book.plan(seen)
    seen, new = with_new(seen, schedule={"durationSeconds": 60})
    made = book.plan(seen)
    assert not book.is_full
    assert reserve_of(made, new).until_ms == NOW + 60_000
    assert made.next_due_ms == NOW + SOON_MS


def fleet_of(
    fleet: list[tuple[GpuLease, LeaseInventory]],
) -> tuple[GpuLease, list[NodeState]]:
    each, found = fleet[0]
    return each, list(found.nodes.values())
