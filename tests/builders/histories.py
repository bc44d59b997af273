"""Histories of small fleets: claims come, change their mind and end; leases step down and end; every plan is carried out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from sublet.api.gpuclaim import GpuClaim, Schedule
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.last_word import LostStatus
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Plan, Take
from sublet.book.holdings import holds
from sublet.book.inventory import Reach
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
from tests.builders.fleet import after, bound, inventory, nodes, released, view

HOUR = 3_600_000
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
"""What claims ask for beside GPUs."""


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
    loses: bool = False
    """The last lease's cluster counts as lost from now on."""


def ticks_of(*steps: float) -> st.SearchStrategy[list[Tick]]:
    """Return what happens before each pass; `steps`: by how many hours the clock may move."""
    return st.lists(_tick(steps), min_size=2, max_size=6)


def _tick(steps: tuple[float, ...]) -> st.SearchStrategy[Tick]:
    return st.builds(
        Tick,
        hours=st.sampled_from(steps),
        changed=st.lists(st.tuples(st.integers(0, 7), durations), max_size=2).map(tuple),
        deleted=st.lists(st.integers(0, 7), max_size=1).map(tuple),
        frees=st.booleans(),
        lease_end=st.none() | st.none() | hours,
        loses=st.integers(0, 9).map(lambda drawn: drawn == 9),
    )


ticks = ticks_of(0, 0.5, 1, 1, 2, 3)


def at(hours_: float) -> Millis:
    """Return the instant so many hours after NOW."""
    return Millis(NOW + int(hours_ * HOUR))


def schedule(hours_: int | None, start: int | None) -> Schedule:
    """Return a schedule in hours."""
    return Schedule(
        start_time=at(start) if start is not None else None,
        duration_seconds=hours_ * 3600 if hours_ is not None else None,
    )


CANCELLATION = {"freeBeforeStartSeconds": 6 * 3600, "chargePercent": 50}
windows = st.dictionaries(
    hours, st.tuples(st.integers(1, 3), st.sampled_from([None, 4, 8])), max_size=2
)
"""hour -> (hours that maintenance lasts, GPUs away, all without)"""


@st.composite
def leases(draw: st.DrawFn, index: int):
    """Return a lease whose commitment steps, and its nodes."""
    steps = {LONG_AGO: draw(st.sampled_from([4, 8, 16, 24]))}
    for hour in draw(st.sets(st.integers(1, LAST), max_size=3)):
        steps[format_instant(at(hour))] = draw(st.sampled_from([0, 3, 8, 16]))
    end = draw(st.none() | hours)
    body = lease(
        f"l{index}",
        maintenance=[
            {"startTime": format_instant(at(hour)), "endTime": format_instant(at(hour + lasts))}
            | ({"gpus": gpus} if gpus else {})
            for hour, (lasts, gpus) in draw(windows).items()
        ],
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
    return each, inventory(each, [replace(n, clique=draw(st.sampled_from(cliques))) for n in some])


@st.composite
def histories(
    draw: st.DrawFn, all_ticks: st.SearchStrategy[list[Tick]] = ticks
) -> tuple[View, list[Tick]]:
    """Return a fleet, everybody who comes, and what happens."""
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
        classes=(as_class(gpu_class(maxDurationSeconds=longest, cancellation=CANCELLATION)),),
        tenants=tuple(as_tenant(tenant(n, namespaces=(n,))) for n in ("acme", "globex")),
    )
    return seen, draw(all_ticks)


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
    happened = replace(seen, claims=tuple(found), leases=(first, *others))
    return losing(happened) if tick.loses else happened


def losing(seen: View) -> View:
    """Return the view once the last lease's cluster counts as lost; what was reserved there had been handed over."""
    *others, last = seen.leases
    uid = LeaseUID(last.metadata.uid)
    if last.is_lost:
        return seen
    status = last.status.model_copy(
        update={"lost": LostStatus(by="ann", time=seen.now_ms, meter_time=seen.now_ms)}
    )
    silent = replace(seen.inventories[uid], reach=Reach.UNKNOWN)
    return replace(
        seen,
        leases=(*others, last.model_copy(update={"status": status})),
        inventories={**seen.inventories, uid: silent},
        claims=tuple(_handed_over(c, uid) for c in seen.claims),
    )


def _handed_over(each: GpuClaim, lease_uid: LeaseUID) -> GpuClaim:
    allocation = each.status.allocation
    if allocation is None or not holds(each) or each.status.release is not None:
        return each
    there = any(p.lease_uid == lease_uid for p in allocation.placements)
    return bound(each, allocation.decided_time) if there else each


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
    """Return the claims that hold GPUs."""
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
