"""What must hold at every instant while fleets live: claims come, change their mind, end; leases step down and end."""

import random
from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim
from sublet.api.times import Millis
from sublet.book.contract import committed_at
from sublet.book.decisions import Extend, Refuse, Reserve, Take, Warn
from sublet.book.maintenance import away_at
from sublet.book.plan import plan
from sublet.book.steps import FOREVER
from tests.builders.fleet import after
from tests.builders.histories import LAST, at, histories, holders, passes, promises

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""


@settings(UNTIMED, max_examples=80)
@given(histories())
def test_no_node_and_no_lease_is_oversold_at_any_instant(history):
    for before, made in passes(history):
        seen = after(before, made)
        on_node: Counter[str] = Counter()
        for _, node, gpus, _, _ in promises(seen):
            on_node[node] += gpus
        assert all(gpus <= 8 for gpus in on_node.values())
        ends = {end for *_, end, _ in promises(seen) if end is not None}
        for each in seen.leases:
            steps = {p.start_time for p in each.spec.commitment.phases}
            for when in {seen.now_ms, *ends, *steps}:
                if when < seen.now_ms:
                    continue
                sold = sum(
                    gpus
                    for uid, _, gpus, end, _ in promises(seen)
                    if uid == each.metadata.uid and (end is None or end > when)
                )
                assert sold <= each.spec.commitment.gpus_at(when)


@settings(UNTIMED, max_examples=80)
@given(histories())
def test_nothing_new_is_placed_over_maintenance(history):
    for before, made in passes(history):
        seen = after(before, made)
        for d in made.decisions:
            if not isinstance(d, Reserve) or d.bookings:
                continue  # promises from before stand
            for each in (x for x in seen.leases if x.metadata.uid in d.lease_uids):
                for w in each.spec.maintenance:
                    when = max(w.start_time, seen.now_ms)
                    if when < min(w.end_time, d.until_ms or FOREVER):
                        sold = sum(
                            gpus
                            for uid, _, gpus, end, _ in promises(seen)
                            if uid == each.metadata.uid and (end is None or end > when)
                        )
                        assert sold <= committed_at(each, when) - away_at(each, when)


@settings(UNTIMED, max_examples=80)
@given(histories())
def test_no_claim_outlives_any_of_its_leases(history):
    for before, made in passes(history):
        seen = after(before, made)
        last = {
            each.metadata.uid: each.spec.term.last_usable_ms() or FOREVER for each in seen.leases
        }
        for uid, _, _, end, leaving in promises(seen):
            assert leaving or (end or FOREVER) <= last[uid]


@settings(UNTIMED, max_examples=80)
@given(histories())
def test_an_end_never_moves_into_the_past_and_what_is_over_is_taken(history):
    for before, made in passes(history):
        moved = [d.until_ms for d in made.decisions if isinstance(d, Extend | Reserve)]
        assert all(end is None or end > before.now_ms for end in moved)
        assert all(d.release_ms <= before.now_ms for d in made.decisions if isinstance(d, Take))
        still = [end for *_, end, leaving in promises(after(before, made)) if not leaving]
        assert all(end is None or end > before.now_ms for end in still)


@settings(UNTIMED, max_examples=60)
@given(histories())
def test_holders_come_to_rest_at_once_unless_somebody_gave_hours_back(history):
    """Hours that a claim gives back, as it becomes shorter, is overdue or leaves early, are given to others when that is
    written, one pass later.
    """
    for before, made in passes(history):
        held = {c.metadata.uid: c for c in holders(before)}
        gave_back = [
            d
            for d in made.decisions
            if isinstance(d, Extend | Take) and _gives_back(held[d.claim_uid], d, before.now_ms)
        ]
        ahead = {uid for uid, c in held.items() if c.status.allocation.is_ahead}
        moved = [d for d in made.decisions if isinstance(d, Extend) and d.claim_uid in ahead]
        seen = after(before, made)
        if gave_back or moved:  # a promise whose end moved becomes nodes one pass later
            seen = after(seen, plan(seen))
        assert not [
            d
            for d in plan(seen).decisions
            if d.claim_uid in held and not isinstance(d, Refuse | Warn)
        ]


@settings(UNTIMED, max_examples=80)
@given(histories())
def test_nothing_is_sold_on_a_lost_lease_and_its_claims_end_at_once(history):
    for before, made in passes(history):
        lost = {x.metadata.uid for x in before.leases if x.is_lost}
        reserved = [d for d in made.decisions if isinstance(d, Reserve)]
        assert all(d.lease_uids.isdisjoint(lost) for d in reserved)
        still = {uid for uid, *_, leaving in promises(after(before, made)) if not leaving}
        assert still.isdisjoint(lost)


def _gives_back(each: GpuClaim, decision: Extend | Take, now: Millis) -> bool:
    old = each.status.allocation.until_time
    if isinstance(decision, Take):
        return old is None or old > now
    shorter = decision.until_ms is not None and (old is None or decision.until_ms < old)
    return shorter or (old is not None and old <= now)


@settings(UNTIMED, max_examples=60)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(history, shuffle: random.Random):
    def mixed(items):
        return tuple(shuffle.sample(items, len(items)))

    for seen, made in passes(history):
        other = replace(
            seen,
            claims=mixed(seen.claims),
            leases=mixed(seen.leases),
            classes=mixed(seen.classes),
            tenants=mixed(seen.tenants),
            inventories={
                uid: replace(found, nodes=dict(mixed(tuple(found.nodes.items()))))
                for uid, found in mixed(tuple(seen.inventories.items()))
            },
        )
        assert plan(other) == made


@settings(UNTIMED, max_examples=60)
@given(histories(), st.floats(0, 1))
def test_until_the_book_looks_again_the_same_objects_are_decided_the_same(history, share: float):
    for before, made in passes(history):
        seen = after(before, made)
        rest = plan(seen)
        if [d for d in rest.decisions if not isinstance(d, Refuse)]:
            continue  # it isn't at rest: the next pass is at once
        due = rest.next_due_ms or at(10 * LAST)
        for when in (seen.now_ms + int(share * (due - 1 - seen.now_ms)), due - 1):
            assert plan(replace(seen, now_ms=Millis(when))).decisions == rest.decisions
