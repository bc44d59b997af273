"""Claims on their way to other nodes that are ready: they may be taken back as any other, with the old nodes and the new."""

from dataclasses import replace

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Extend, Notice, Reserve, Take
from sublet.book.holdings import RELEASE_MS
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import as_claim, as_class, as_tenant, claim, gpu_class, tenant
from tests.builders.fleet import after, bound, held, refusal_of, released, view
from tests.builders.money import account, payer
from tests.builders.moves import leased
from tests.builders.taken_back import ACME, NOTICE_MS, PRIORITIES, asking, taken
from tests.builders.windows import ahead, at

PREEMPTED, LEASE_ENDED = ReleaseCause.PREEMPTED, ReleaseCause.LEASE_ENDED
MAINTENANCE = ReleaseCause.MAINTENANCE
END = 40
"""The hour at which the lease of the old nodes ends; the move begins a day before."""
OVER = Millis(at(18) + NOTICE_MS)
"""When notice that is given at hour 18 ends."""


def classes(notice_seconds: int = NOTICE_MS // 1_000):
    spot = {"guarantee": "Preemptible", "noticeSeconds": notice_seconds, "moveLeadSeconds": 86_400}
    return as_class(), as_class(gpu_class("spot", **spot))


def needing(name: str = "urgent", hours: float = 100, gpus: int = 8, priority="high", **spec):
    """Return a claim that waits: west is too short for it, unless it asks for less than a day."""
    schedule = {"durationSeconds": int(hours * 3_600)}
    body = claim(name, gpus=gpus, priorityClassName=priority, schedule=schedule, **spec)
    return as_claim(body)


def moving(*others: GpuClaim, fleet=None, cause=LEASE_ENDED, **fields) -> View:
    """Return a victim at hour 18 that has west's one node and, ready beside it, east's."""
    west, *more = fleet or (leased("west", END, count=1), leased("east", 4_000, count=1))
    (node,) = west[1].nodes.values()
    victim = held(asking("victim"), west[0], [node], until_ms=at(END), cause=cause)
    given = {"classes": classes(), "tenants": ACME, "priorities": PRIORITIES} | fields
    seen = view([bound(victim)], [west, *more], now_ms=at(17), **given)
    for _ in range(3):
        seen = after(seen, plan(seen))
    move = seen.claims[0].status.move
    assert move is not None
    assert move.ready_time is not None
    return replace(seen, claims=(*seen.claims, *others), now_ms=at(18))


def later(seen: View, at_ms: Millis | None = None) -> View:
    """Return the view once its plan was carried out."""
    return replace(after(seen, plan(seen)), now_ms=at_ms if at_ms is not None else seen.now_ms)


def without(seen: View, name: str) -> View:
    return replace(seen, claims=tuple(c for c in seen.claims if c.metadata.name != name))


@pytest.mark.parametrize(
    "urgent",
    [
        needing(hours=5),
        needing(hours=100),
        needing(hours=5, gpus=16),
        needing(hours=100, topology={"scope": "Node"}),
    ],
    ids=["the old node", "the new node", "both", "one node alone"],
)
def test_it_is_taken_back_for_whichever_of_its_nodes_is_needed(urgent: GpuClaim):
    seen = moving(urgent)

    made = plan(seen)

    uid = seen.claims[0].metadata.uid
    assert taken(made) == {uid: Extend(uid, OVER, PREEMPTED)}
    assert refusal_of(made, urgent).estimated_ms == OVER


@pytest.mark.parametrize("hours", [5, 100])
def test_once_is_enough(hours: float):
    south = leased("south", 4_000, count=1)
    (node,) = south[1].nodes.values()
    other = bound(held(asking("other", priority="mid"), south[0], [node]))
    fleet = (leased("west", END, count=1), leased("east", 4_000, count=1), south)
    urgent = needing(hours=hours)
    told = later(moving(other, urgent, fleet=fleet))

    made = plan(told)

    assert taken(made) == {}
    assert refusal_of(made, urgent).estimated_ms == OVER


def test_both_are_its_own_until_its_notice_is_over_and_then_taken_back_and_sold():
    urgent, next_ = needing(), needing("next", hours=5, priority="mid")
    told = later(moving(urgent, next_))

    assert not [d for d in plan(told).decisions if isinstance(d, Reserve)]
    (notice,) = [d for d in plan(told).decisions if isinstance(d, Notice)]
    assert notice.reason == PREEMPTED
    over = later(told, OVER)
    (release,) = [d for d in plan(over).decisions if isinstance(d, Take)]
    assert (release.cause, release.release_ms) == (PREEMPTED, OVER)
    freed = released(over.claims[0], release, OVER)
    made = plan(replace(over, claims=(freed, *over.claims[1:])))
    given = {d.claim_uid for d in made.decisions if isinstance(d, Reserve)}
    assert given == {urgent.metadata.uid, next_.metadata.uid}


def test_one_whose_new_nodes_arent_ready_is_left_alone():
    seen = moving(needing())
    victim = seen.claims[0]
    move = victim.status.move.model_copy(update={"ready_time": None})
    status = victim.status.model_copy(update={"move": move})
    waits = victim.model_copy(update={"status": status})

    assert taken(plan(replace(seen, claims=(waits, *seen.claims[1:])))) == {}


@pytest.mark.parametrize(
    ("silent", "hours"),
    [("west", 100), ("east", 5)],
    ids=["that of the old node", "that of the new node"],
)
def test_one_is_left_alone_while_a_cluster_of_its_nodes_is_silent(silent: str, hours: float):
    seen = moving(needing(hours=hours))
    (uid,) = (LeaseUID(x.metadata.uid) for x in seen.leases if x.spec.tenant_alias == silent)
    unknown = replace(seen.inventories[uid], reach=Reach.UNKNOWN)

    assert taken(plan(replace(seen, inventories={**seen.inventories, uid: unknown}))) == {}


@pytest.mark.parametrize(("gone", "hours"), [("west", 100), ("east", 5)])
def test_one_is_left_alone_while_a_lease_of_its_nodes_isnt_on_the_hub(gone: str, hours: float):
    seen = moving(needing(hours=hours))
    there = tuple(x for x in seen.leases if x.spec.tenant_alias != gone)
    told = later(replace(seen, leases=there))

    assert taken(plan(told)) == {}


def test_one_is_left_alone_while_a_cluster_is_silent_that_it_has_left_nodes_of():
    seen = later(replace(moving(), now_ms=at(END)))
    assert [x.placements[0].lease for x in seen.claims[0].status.leaving] == ["west"]
    west = LeaseUID(seen.leases[0].metadata.uid)
    unknown = replace(seen.inventories[west], reach=Reach.UNKNOWN)
    needed = replace(seen, claims=(*seen.claims, needing()))

    assert taken(plan(needed)) != {}
    silent = replace(needed, inventories={**seen.inventories, west: unknown})
    assert taken(plan(silent)) == {}


def test_a_notice_that_would_last_beyond_the_cutover_is_given_after_it():
    seen = moving(needing(), classes=classes(notice_seconds=23 * 3_600))

    assert taken(plan(seen)) == {}
    over = later(replace(seen, now_ms=at(END)))
    (made,) = taken(plan(over)).values()
    assert made.until_ms == at(END + 23)


@pytest.mark.parametrize("hours", [5, 100])
@pytest.mark.parametrize("rest", [0, 3_600])
def test_what_is_taken_back_at_once_is_sold_to_nobody_before_it_has_rested(rest: int, hours):
    term = {"quarantineSeconds": rest}
    fleet = (leased("west", END, 1, term=term), leased("east", 4_000, 1, term=term))
    urgent = needing(hours=hours)
    seen = moving(urgent, fleet=fleet, classes=classes(0))
    gone = Millis(at(18) + RELEASE_MS + rest * 1_000)

    made = plan(seen)

    assert [d.until_ms for d in taken(made).values()] == [at(18)]
    assert refusal_of(made, urgent).estimated_ms == gone
    assert refusal_of(plan(after(seen, made)), urgent).estimated_ms == gone


@pytest.mark.parametrize("hours", [5, 100])
@pytest.mark.parametrize("rests", [(0, 3_600), (3_600, 0)])
def test_its_release_is_given_the_longest_rest_of_all_its_nodes(rests: tuple[int, int], hours):
    terms = [{"quarantineSeconds": rest} for rest in rests]
    fleet = (leased("west", END, 1, term=terms[0]), leased("east", 4_000, 1, term=terms[1]))
    urgent = needing(hours=hours)
    going = later(later(later(moving(urgent, fleet=fleet, classes=classes(0)))))
    assert is_true(going.claims[0].status.conditions, "Releasing")
    gone = Millis(at(18) + RELEASE_MS + 3_600_000)

    for now_ms in (at(18), at(18.5), Millis(gone - 1)):
        assert refusal_of(plan(replace(going, now_ms=now_ms)), urgent).estimated_ms == gone
    assert refusal_of(plan(replace(going, now_ms=gone)), urgent).estimated_ms is None


def test_a_notice_that_nobody_needs_any_more_is_taken_back_and_the_move_goes_on():
    told = without(later(moving(needing())), "urgent")
    uid = told.claims[0].metadata.uid

    assert taken(plan(told)) == {uid: Extend(uid, at(END), LEASE_ENDED)}
    spared = later(told)
    assert taken(plan(spared)) == {}
    waits = needing("waits", priority="low")
    made = plan(replace(spared, claims=(*spared.claims, waits)))
    assert refusal_of(made, waits).estimated_ms is None


@pytest.mark.parametrize(
    "until", [None, 400, END + 10], ids=["without end", "by weeks", "by hours"]
)
@pytest.mark.parametrize("sold", [False, True], ids=["free", "promised for after the cutover"])
def test_one_whose_old_lease_was_prolonged_is_let_off_to_its_cutover(until, sold: bool):
    told = without(later(moving(needing(hours=5))), "urgent")
    (longer, _), (east, _) = leased("west", until, count=1), leased("east", 4_000, count=1)
    assert [x.metadata.uid for x in (longer, east)] == [x.metadata.uid for x in told.leases]
    where = {"leases": {"allow": ["west"]}}
    window = ahead("window", END + 5, 1, gpus=8, priorityClassName="mid", placement=where)
    claims = (*told.claims, window) if sold else told.claims
    uid = told.claims[0].metadata.uid

    spared = replace(told, leases=(longer, east), claims=claims)
    assert taken(plan(spared)) == {uid: Extend(uid, at(END), LEASE_ENDED)}
    assert taken(plan(later(spared))) == {}
    said = find_condition(later(later(spared)).claims[0].status.conditions, "Expiring")
    assert said.reason == "Moving"


def test_one_that_moves_for_maintenance_is_let_off_until_that_begins():
    window = {"startTime": format_instant(at(END)), "endTime": format_instant(at(END + 10))}
    fleet = (leased("west", count=1, maintenance=[window]), leased("east", 4_000, count=1))
    seen = moving(needing(hours=5), fleet=fleet, cause=MAINTENANCE)
    told = without(later(seen), "urgent")
    uid = told.claims[0].metadata.uid

    assert taken(plan(told)) == {uid: Extend(uid, at(END), MAINTENANCE)}
    assert taken(plan(later(told))) == {}


def test_a_notice_stays_where_its_new_nodes_were_promised_for_after_it():
    told = without(later(moving(needing())), "urgent")
    window = ahead("window", 60, 1, gpus=8, priorityClassName="mid")
    booked = replace(told, claims=(*told.claims, window))

    assert taken(plan(booked)) == {}
    assert plan(later(booked)).decisions == ()


def test_a_notice_stays_where_its_tenants_quota_is_used_for_after_the_cutover():
    fleet = (leased("west", END, 1), leased("east", 4_000, 1), leased("south", 4_000, 1))
    limit = [{"className": "spot", "gpus": 8}]
    few = as_tenant(tenant(priorityClasses=["low", "mid", "high"], quotas=limit))
    told = without(later(moving(needing(gpus=16), fleet=fleet)), "urgent")
    booked = ahead("window", 60, 1, gpus=8, class_name="spot", priorityClassName="mid")

    assert taken(plan(replace(told, tenants=(few,)))) != {}
    assert taken(plan(replace(told, tenants=(few,), claims=(*told.claims, booked)))) == {}


@pytest.mark.parametrize(("hours", "goes_on"), [(4_000, True), (3_999, False)])
def test_a_notice_stays_where_there_is_no_money_for_the_new_nodes(hours: int, goes_on):
    told = without(later(moving(needing())), "urgent")
    hourly = 8 * allocation_of(told.claims[0]).price_per_gpu_hour
    has = payer(str(hours * hourly), period="Total")

    made = plan(replace(told, tenants=(has,), accounts=account(of=has)))

    assert bool(taken(made)) is goes_on


def elsewhere(name: str, start: float = 18, **spec) -> GpuClaim:
    """Return a claim of the victim's tenant and class that has room at south alone, for ten hours from an hour on."""
    where = {"leases": {"allow": ["south"]}}
    return ahead(name, start, 10, gpus=8, class_name="spot", placement=where, **spec)


THREE = (leased("west", END, 1), leased("east", 4_000, 1), leased("south", 4_000, 1))


def test_money_that_isnt_enough_for_all_of_a_later_end_is_left_to_others():
    told = without(later(moving(needing(gpus=16), fleet=THREE)), "urgent")
    hourly = 8 * allocation_of(told.claims[0]).price_per_gpu_hour
    has = payer(str(3_000 * hourly), period="Total")
    small = elsewhere("small")
    seen = replace(told, tenants=(has,), accounts=account(of=has))

    made = plan(replace(seen, claims=(*seen.claims, small)))

    assert taken(made) == {}
    assert [d.claim_uid for d in made.decisions if isinstance(d, Reserve)] == [small.metadata.uid]


def test_quota_that_isnt_there_for_all_of_a_later_end_is_left_to_others():
    limit = [{"className": "spot", "gpus": 8}]
    few = as_tenant(tenant(priorityClasses=["low", "mid", "high"], quotas=limit))
    told = without(later(moving(needing(gpus=16), fleet=THREE)), "urgent")
    early, late = elsewhere("early", 300), elsewhere("late", 600, priorityClassName="mid")
    seen = later(replace(told, tenants=(few,), claims=(*told.claims, late)))

    made = plan(replace(seen, claims=(*seen.claims, early)))

    assert taken(made) == {}
    assert [d.claim_uid for d in made.decisions if isinstance(d, Reserve)] == [early.metadata.uid]
