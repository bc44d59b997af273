"""Budgets beside what else moves a claim's end or its nodes: notices, pardons, moves, a book that stays warm."""

from dataclasses import replace

from sublet.api.pending import PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.book.decisions import CutOver, Extend, Refuse, Relocate, Reserve, Take
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.book.warm import Book
from tests.builders.api import NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import (
    after,
    bound,
    carried_out,
    inventory,
    nodes,
    refusal_of,
    reserve_of,
    view,
    with_notices,
)
from tests.builders.money import CLASSES, DECEMBER, account, payer
from tests.builders.moves import leased, running
from tests.builders.windows import ahead, at

WEST = as_lease(lease("west", committed=64))
DRAIN = payer("100", at_limit="Drain")
NOTICE_MS = 600_000


def seen(*claims, spent: float = 0, who=DRAIN, now_ms: Millis = NOW, count: int = 4, **fields):
    fields = {"classes": CLASSES, "accounts": account(spent, as_of_ms=now_ms)} | fields
    fleet = [(WEST, inventory(WEST, nodes(WEST, count)))]
    return view(claims, fleet, tenants=(who,), now_ms=now_ms, **fields)


def lasting(name: str, hours: float | None = None, class_name: str = "h100", **spec):
    schedule = {"durationSeconds": int(hours * 3600)} if hours is not None else {}
    return as_claim(claim(name, class_name=class_name, schedule=schedule, **spec))


def runs(asks, **fields):
    """Return a claim on the nodes that the book gives it."""
    rich = seen(asks, who=payer("100000"), **fields)
    return bound(carried_out(asks, reserve_of(plan(rich), asks), rich.now_ms), rich.now_ms)


def ends(made) -> list[Extend | Take]:
    return [d for d in made.decisions if isinstance(d, Extend | Take)]


def test_what_costs_nothing_is_never_drained():
    free = as_class(gpu_class("gift", price="0", guarantee="Preemptible"))
    given = runs(lasting("given", class_name="gift"), classes=(*CLASSES, free))

    assert ends(plan(seen(given, spent=100, classes=(*CLASSES, free)))) == []


def test_a_notice_that_would_outlast_the_period_isnt_given():
    late = Millis(DECEMBER - NOTICE_MS // 2)
    first = seen(runs(lasting("runs", class_name="spot")), spent=100, now_ms=late)

    assert ends(plan(first)) == []


def test_a_notice_that_ends_with_the_period_comes_to_rest():
    just = Millis(DECEMBER - NOTICE_MS - 1)
    first = seen(runs(lasting("runs", class_name="spot")), spent=100, now_ms=just)

    told = after(first, plan(first))

    assert told != first
    assert ends(plan(told)) == []


PRIORITIES = {"priorities": {"low": 0, "high": 10}}


def noticed() -> View:
    """Return a victim of 20 hours whose notice runs, and the claim that it gives way to."""
    who = payer("200", at_limit="Hold")
    who = who.model_copy(
        update={"spec": who.spec.model_copy(update={"priority_classes": ("low", "high")})}
    )
    victim = lasting("victim", 20, "spot", priorityClassName="low")
    first = seen(victim, who=who, count=1, **PRIORITIES)
    first = after(first, plan(first))
    held = bound(first.claims[0])
    urgent = lasting("urgent", 2, priorityClassName="high")
    told = replace(first, claims=(held, urgent))
    told = after(told, plan(told))
    allocation = told.claims[0].status.allocation
    assert allocation is not None
    assert allocation.until_cause is ReleaseCause.PREEMPTED
    return replace(told, claims=told.claims[:1])


def test_a_pardon_goes_as_far_as_the_money_that_is_left():
    poor = replace(noticed(), accounts=account(200 - 8 * 5))

    (moved,) = ends(plan(poor))

    assert (moved.until_ms, moved.until_cause) == (at(5), ReleaseCause.BUDGET_EXHAUSTED)
    assert ends(plan(after(poor, plan(poor)))) == []


def test_nobody_is_let_off_whose_money_others_have_got():
    poor = replace(noticed(), accounts=account(200))

    assert ends(plan(poor)) == []


MOVERS = (as_class(gpu_class(price="1", moveLeadSeconds=24 * 3_600)),)


def moving(budget: str) -> View:
    """Return a claim on its way from west, which ends in 10 hours, to east, as far as the budget goes."""
    west, east = leased("west", 10), leased("east", 40)
    each = running(west, end=10)
    allocation = each.status.allocation
    assert allocation is not None
    cheap = allocation.model_copy(
        update={"price_per_gpu_hour": MOVERS[0].spec.prices[0].per_gpu_hour}
    )
    each = each.model_copy(update={"status": each.status.model_copy(update={"allocation": cheap})})
    first = view([each], [west, east], classes=MOVERS, tenants=(payer(budget),), accounts=account())
    made = plan(first)
    (moves,) = [d for d in made.decisions if isinstance(d, Relocate)]
    assert moves.until_cause is ReleaseCause.BUDGET_EXHAUSTED
    return after(first, made)


def prolonged(seen_: View) -> View:
    """Return the view with the lease west five hours longer."""
    longer, _ = leased("west", 15)
    leases = tuple(longer if x.metadata.name == "west" else x for x in seen_.leases)
    return replace(seen_, leases=leases)


def test_a_lease_that_is_prolonged_during_a_move_takes_nothing_of_what_the_move_was_paid_for():
    longer = prolonged(moving("160"))

    assert ends(plan(longer)) == []
    made = plan(with_notices(replace(longer, now_ms=at(10))))
    assert [type(d) for d in made.decisions if not isinstance(d, Refuse)][:1] == [CutOver]


def test_a_cutover_makes_nobody_richer():
    due = with_notices(replace(moving("160"), now_ms=at(10)))
    over = after(due, plan(due))
    asks = lasting("asks", 2)
    late = replace(over, claims=(*over.claims, asks), now_ms=at(10))

    made = plan(late)
    assert refusal_of(made, asks).reason is PendingReason.EXCEEDS_BUDGET
    assert ends(made) == []


def test_a_claim_given_in_a_pass_counts_in_every_period_that_it_reaches():
    open_ended = lasting("runs")
    window = ahead("window", (DECEMBER - NOW) / MS_PER_HOUR, 10, gpus=8)

    made = plan(seen(open_ended, window, who=payer("2000")))

    given = [d.claim_uid for d in made.decisions if isinstance(d, Reserve)]
    assert given == [open_ended.metadata.uid]


def test_a_warm_book_looks_again_at_money_when_a_meter_begins():
    first = seen(lasting("runs", 5, "spot"), who=payer("30", at_limit="Drain"))
    reserved = after(
        seen(*first.claims, who=payer("40")), plan(replace(first, tenants=(payer("40"),)))
    )
    reserved = replace(reserved, tenants=first.tenants)
    began = replace(reserved, claims=(bound(reserved.claims[0], at(0.1)),), now_ms=at(0.1))
    book = Book()
    book.plan(reserved)

    assert book.plan(began).next_due_ms == plan(began).next_due_ms == at(0.1 + 30 / 8)
