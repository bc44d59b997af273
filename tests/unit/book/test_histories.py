"""What must hold at every instant while fleets live: claims come, change their mind, end; leases step down and end."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim, Schedule
from sublet.api.ids import ClaimUID
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Extend, Plan, Refuse, Reserve, Take, Warn
from sublet.book.holdings import holds
from sublet.book.plan import plan
from sublet.book.steps import FOREVER
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
from tests.builders.fleet import after, inventory, nodes, released, view

HOUR = 3_600_000
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""
LAST = 12
"""Hours that a history has."""

hours = st.integers(1, LAST)
durations = st.none() | hours
claims = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 4, 8, 8, 16]),
        durations,
        hours.map(lambda h: h - 1),
        st.none() | st.none() | hours,
    ),
    min_size=1,
    max_size=8,
)


wishes = st.sampled_from(
    [
        {},
        {},
        {"topology": {"scope": "NVLinkDomain"}},
        {"topology": {"scope": "NVLinkDomain", "required": False}},
        {"placement": {"maxSharePerProviderPercent": 50}},
        {"placement": {"minClusters": 2}},
    ]
)


@dataclass(frozen=True)
class Tick:
    """What happens before one pass."""

    hours: float
    changed: tuple[tuple[int, int | None], ...]
    """(claim, its new duration in hours)"""
    deleted: tuple[int, ...]
    frees: bool
    """The releases under way are done."""
    lease_end: int | None
    """Hour at which the first lease ends from now on."""


ticks = st.lists(
    st.builds(
        Tick,
        hours=st.sampled_from([0, 0.5, 1, 1, 2, 3]),
        changed=st.lists(st.tuples(st.integers(0, 7), durations), max_size=2).map(tuple),
        deleted=st.lists(st.integers(0, 7), max_size=1).map(tuple),
        frees=st.booleans(),
        lease_end=st.none() | st.none() | hours,
    ),
    min_size=2,
    max_size=6,
)


def at(hours_: float) -> Millis:
    return Millis(NOW + int(hours_ * HOUR))


def schedule(hours_: int | None, start: int | None) -> Schedule:
    return Schedule(
        start_time=at(start) if start is not None else None,
        duration_seconds=hours_ * 3600 if hours_ is not None else None,
    )


@st.composite
def leases(draw: st.DrawFn, index: int):
    steps = {LONG_AGO: draw(st.sampled_from([4, 8, 16, 24]))}
    for hour in draw(st.sets(st.integers(1, LAST), max_size=3)):
        steps[format_instant(at(hour))] = draw(st.sampled_from([0, 3, 8, 16]))
    end = draw(st.none() | hours)
    body = lease(
        f"l{index}",
        end=format_instant(at(end)) if end else None,
        nodeSharing=draw(st.sampled_from(["None", "SameTenant", "AnyTenant"])),
        commitment={
            "phases": [
                {"commitmentId": f"p{i}", "startTime": start, "gpus": gpus}
                for i, (start, gpus) in enumerate(steps.items())
            ]
        },
    )
    each = as_lease(body)
    some = nodes(each, draw(st.integers(1, 3)), zones=("a", "b"))
    cliques = draw(st.just([None]) | st.just([None, "d1", "d1", "d2"]))
    found = [replace(n, clique=draw(st.sampled_from(cliques))) for n in some]
    return each, inventory(each, found)


@st.composite
def histories(draw: st.DrawFn) -> tuple[View, list[Tick]]:
    fleet = [draw(leases(i)) for i in range(draw(st.integers(1, 2)))]
    asked = [
        _asking(
            as_claim(
                claim(f"c{i}", ("acme", "globex")[i % 2], gpus=gpus, **draw(wishes)),
                creationTimestamp=format_instant(at(came)),
            ),
            lasts,
            start,
        )
        for i, (gpus, lasts, came, start) in enumerate(draw(claims))
    ]
    longest = draw(st.sampled_from([None, LAST * 3600]))
    seen = view(
        asked,
        fleet,
        classes=(as_class(gpu_class(maxDurationSeconds=longest)),),
        tenants=tuple(as_tenant(tenant(n, namespaces=(n,))) for n in ("acme", "globex")),
    )
    return seen, draw(ticks)


def passes(history: tuple[View, list[Tick]]) -> Iterator[tuple[View, Plan]]:
    """Yield each pass's view and plan; every plan is carried out."""
    seen, all_ticks = history
    everybody, came = list(seen.claims), set()
    seen = replace(seen, claims=())
    for tick in all_ticks:
        seen = replace(seen, now_ms=Millis(seen.now_ms + int(tick.hours * HOUR)))
        new = [
            c
            for c in everybody
            if c.metadata.uid not in came and (c.metadata.creation_timestamp or 0) <= seen.now_ms
        ]
        came |= {c.metadata.uid for c in new}
        seen = _happens(tick, replace(seen, claims=(*seen.claims, *new)))
        made = plan(seen)
        yield seen, made
        seen = after(seen, made)


def _happens(tick: Tick, seen: View) -> View:
    found = list(seen.claims)
    for index, lasts in tick.changed:
        if index < len(found):
            start = found[index].spec.schedule.start_time
            hour = (start - NOW) // HOUR if start is not None else None
            found[index] = _asking(found[index], lasts, hour)
    for index in tick.deleted:
        if index < len(found):
            meta = found[index].metadata.model_copy(update={"deletion_timestamp": seen.now_ms})
            found[index] = found[index].model_copy(update={"metadata": meta})
    if tick.frees:
        found = [_freed(c, seen.now_ms) for c in found]
    first, *others = seen.leases
    if tick.lease_end is not None:
        term = first.spec.term.model_copy(update={"end_time": at(tick.lease_end)})
        first = first.model_copy(update={"spec": first.spec.model_copy(update={"term": term})})
    return replace(seen, claims=tuple(found), leases=(first, *others))


def _asking(each: GpuClaim, lasts: int | None, start: int | None) -> GpuClaim:
    return each.model_copy(
        update={"spec": each.spec.model_copy(update={"schedule": schedule(lasts, start)})}
    )


def _freed(each: GpuClaim, now: Millis) -> GpuClaim:
    """Return a claim whose release is done, if one is under way."""
    release = each.status.release
    if release is None or not holds(each):
        return each
    return released(
        each, Take(ClaimUID(each.metadata.uid), release.cause, release.release_time), now
    )


def holders(seen: View) -> list[GpuClaim]:
    return [c for c in seen.claims if holds(c)]


def promises(seen: View) -> list[tuple[str, str, int, Millis | None, bool]]:
    """Return (lease, node, GPUs, end, whether it is being released) of everything held."""
    return [
        (
            p.lease_uid,
            p.node_uid,
            p.gpus,
            c.status.allocation.until_time,
            c.status.release is not None,
        )
        for c in holders(seen)
        for p in c.status.allocation.placements
    ]


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
    """Hours that a shorter or overdue claim gives back are given to others when that is written, one pass later."""
    for before, made in passes(history):
        held = {c.metadata.uid: c for c in holders(before)}
        gave_back = [
            d
            for d in made.decisions
            if isinstance(d, Extend) and _gives_back(held[d.claim_uid], d, before.now_ms)
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


def _gives_back(each: GpuClaim, decision: Extend, now: Millis) -> bool:
    old = each.status.allocation.until_time
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
            tenants=mixed(seen.tenants),
            inventories=dict(mixed(tuple(seen.inventories.items()))),
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
