"""A clock that jumps back and forth: nothing is sold twice, nobody ends early, no interval is negative."""

from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, event, given, settings

from sublet.api.relocation import ReleaseCause
from sublet.book.decisions import Degrade, Extend, Reserve, Take
from sublet.book.holdings import holds
from sublet.book.plan import plan
from tests.builders.api import NOW
from tests.builders.fleet import after, view
from tests.builders.histories import histories, passes, promises, ticks_of
from tests.builders.moves import decided, leased, running
from tests.builders.windows import at

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
jumping = histories(ticks_of(1, 2, 3, -0.5, -1, -3))


@settings(UNTIMED, max_examples=80)
@given(jumping)
def test_no_node_is_sold_twice_and_nobody_who_holds_is_given_more(history):
    for before, made in passes(history):
        on_node: Counter[str] = Counter()
        for _, node, gpus, _, _ in promises(after(before, made)):
            on_node[node] += gpus
        assert all(gpus <= 8 for gpus in on_node.values())
        holding = {
            c.metadata.uid
            for c in before.claims
            if holds(c) and c.status.allocation is not None and not c.status.allocation.is_ahead
        }
        assert not holding & {d.claim_uid for d in made.decisions if isinstance(d, Reserve)}


@settings(UNTIMED, max_examples=80)
@given(jumping)
def test_no_interval_is_negative(history):
    for before, made in passes(history):
        by_uid = {c.metadata.uid: c for c in before.claims}
        for decision in made.decisions:
            if isinstance(decision, Reserve | Extend) and decision.until_ms is not None:
                assert decision.until_ms > before.now_ms
            if isinstance(decision, Take):
                allocation = by_uid[decision.claim_uid].status.allocation
                assert allocation is not None
                event(f"decided later than now: {allocation.decided_time > before.now_ms}")
                assert decision.release_ms >= (allocation.bound_time or allocation.decided_time)


@settings(UNTIMED, max_examples=80)
@given(jumping)
def test_nobody_is_ended_before_its_end(history):
    for before, made in passes(history):
        by_uid = {c.metadata.uid: c for c in before.claims}
        lease_ends = [x.spec.term.end_time for x in before.leases if x.spec.term.end_time]
        for decision in made.decisions:
            if not isinstance(decision, Take):
                continue
            claim = by_uid[decision.claim_uid]
            allocation, asked = claim.status.allocation, claim.spec.schedule
            assert allocation is not None
            ends = [allocation.until_time, *lease_ends]
            if asked.duration_seconds is not None:
                begin = asked.start_time or allocation.decided_time
                ends.append(begin + asked.duration_seconds * 1000)
            due = [at for at in ends if at is not None and at <= before.now_ms]
            assert due or decision.cause in (
                ReleaseCause.DELETED,
                ReleaseCause.SUSPENDED,
                ReleaseCause.LEASE_LOST,
            )


def test_a_bound_claim_says_that_our_clock_is_behind_until_it_is_right_again():
    west = leased("west")
    seen = view([running(west)], [west])
    back = replace(seen, now_ms=at(-2))

    (told,) = decided(back)
    assert isinstance(told, Degrade)
    assert "the operator's clock is behind" in told.message

    said = after(back, plan(back))
    assert decided(said) == []
    assert plan(said).next_due_ms == NOW - 30_000
    (well,) = decided(replace(said, now_ms=NOW - 30_000))
    assert well == Degrade(told.claim_uid, told.reason, "")
