"""Runs one plan in a world and judges it: settled in time, the end of the fault-free runs, no invariant broken on the way."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sublet.api.times import parse_instant
from sublet.kube.errors import KubeError
from tests.faults.hand import NotSettled
from tests.faults.invariants import Invariants
from tests.faults.journal import Entry
from tests.faults.order import broken_rules
from tests.faults.outcome import (
    Outcome,
    count_faults,
    differences,
    ledger_faults,
    ledger_rows,
    read_outcome,
)
from tests.faults.plan import FATAL, VIEW_ACTIONS, Place, Plan, places_in
from tests.faults.workloads import ALL
from tests.faults.workloads.base import Workload
from tests.faults.world import World
from tests.harness.stack import condition

_COUNTS: Final = frozenset({"gpuleases", "gpuclasses", "gputenants"})
"""The operator writes counts and conditions of these, on which no invariant rests."""
_SAME_END_SECONDS: Final = 90.0
_END_SECONDS: Final = 3.0
"""So long without a write is the end of a run whose end nobody knows yet."""
_HELD_SECONDS: Final = 1.2
"""So long a view stays old after the change that isn't seen."""


@dataclass
class Reference:
    """What the fault-free runs of a workload ended in."""

    places: list[list[Place]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    writes: list[list[Entry]] = field(default_factory=list)


@dataclass
class Result:
    """How a plan went."""

    line: str
    faults: list[str]
    hit: bool
    """Whether the place was reached."""
    seconds: float
    converged_seconds: float
    """From the fault, or from its end, to the last write."""
    writes: int
    places: list[Place] = field(default_factory=list)
    outcome: Outcome = field(default_factory=dict)
    journal: list[Entry] = field(default_factory=list)


async def run(
    world: World, plan: Plan, reference: Reference | None, invariants: Invariants
) -> Result:
    """Carry out a plan; whatever went wrong is in the result's faults."""
    workload, begun = ALL[plan.workload], time.monotonic()
    faults: list[str] = []
    result = Result(plan.line, faults, hit=False, seconds=0.0, converged_seconds=0.0, writes=0)
    with _telling(faults):
        await workload.prepare(world)
        await world.quiet()
        world.journal.forget()
        bound = {
            u for u, c in _by_uid(await world.claims()).items() if condition(c, "Bound") == "True"
        }
        _watch_invariants(world, invariants, faults)
        with _telling(faults):
            await _act(world, workload, plan)
            await _settle(world, reference)
        await _judge(world, plan, reference, invariants, result, bound)
    await _clean_up(world, workload, faults)
    result.seconds = time.monotonic() - begun
    return result


@contextmanager
def _telling(faults: list[str]) -> Iterator[None]:
    """Put what went wrong among the faults of the plan."""
    try:
        yield
    except (NotSettled, AssertionError, KubeError, OSError) as error:
        faults.append(f"{type(error).__name__}: {error}")


async def _clean_up(world: World, workload: Workload, faults: list[str]) -> None:
    """Bring the empty pool back; NotSettled if even a new operator can't."""
    world.trouble.disarm()
    world.trouble.on_commit = None
    with _telling(faults):
        await workload.clean(world)
    try:
        await world.reset()
    except NotSettled as error:
        faults.append(f"not clean again: {error}")
        await world.operators.restart()
        await world.reset()


async def _settle(world: World, reference: Reference | None) -> None:
    """Wait for the end of the fault-free runs, if they are known, and until nobody writes any more."""

    if reference is None:
        # what nobody knows the end of is given time for it: on a busy machine a pause is soon taken for an end
        await world.quiet(_END_SECONDS)
        return

    async def look() -> bool:
        # both at once: a write that was held up may still come after the end was there once
        return world.is_quiet() and not _nearest(reference.outcomes, await read_outcome(world))

    with suppress(NotSettled):  # what differs is told when it is judged
        await world.wait("the same end", look, seconds=_SAME_END_SECONDS)
    await world.quiet()


def _watch_invariants(world: World, invariants: Invariants, faults: list[str]) -> None:
    async def look(entry: Entry) -> None:
        if entry.target.resource in _COUNTS:
            return
        try:
            found = await invariants.now()
        except KubeError as error:
            found = [f"not read: {error}"]
        faults.extend(f"after write {entry}: {v}" for v in found)

    world.trouble.on_commit = look


async def _act(world: World, workload: Workload, plan: Plan) -> None:
    """Let the workload happen, and the fault in it."""
    place = plan.place
    if plan.action in VIEW_ACTIONS and place is not None:
        await _act_in_view(world, workload, plan.action, place)
        return
    if plan.action == "overtaken":
        await _prepare_overtaking(world)
    world.trouble.arm(place, plan.action)
    await workload.act(world)


async def _act_in_view(world: World, workload: Workload, action: str, place: Place) -> None:
    cluster, resource = place.key.split()
    view = world.trouble.views[cluster, resource]
    if action == "replayed":
        view.doubled = view.replayed = True
        await workload.act(world)
        return
    if action != "gone":
        view.freeze(await world.revision(cluster, resource))
    acting: asyncio.Task[None] = asyncio.create_task(workload.act(world))
    try:
        await asyncio.wait({acting}, timeout=_HELD_SECONDS)
        world.trouble.fired_seconds = time.monotonic()
        if action == "stale":
            await world.operators.restart()
        if action == "gone":
            await view.expire()
        await view.thaw(coalesce=action == "unobserved")
        world.trouble.fired_seconds = time.monotonic()
        await acting
    finally:
        acting.cancel()


async def _prepare_overtaking(world: World) -> None:
    """Start a second operator that may not write yet; at the plan's write it comes first, and the write comes late."""
    second = await world.operators.start("second")
    gate = world.trouble.held[second] = asyncio.Event()

    async def overtake(entry: Entry) -> None:
        world.trouble.held[entry.pid] = late = asyncio.Event()
        gate.set()
        with suppress(NotSettled):
            await world.quiet(1.0)
        late.set()

    world.trouble.overtake = overtake


async def _judge(
    world: World,
    plan: Plan,
    reference: Reference | None,
    invariants: Invariants,
    result: Result,
    bound: set[str],
) -> None:
    """Put into the result what the plan ended in, and what is wrong with that."""
    result.journal = journal = list(world.journal)
    writes = [e for e in journal if e.is_write]
    fired = world.trouble.fired_seconds
    result.hit = fired is not None or plan.action in ("none", *VIEW_ACTIONS)
    result.writes, result.places = len(writes), places_in(writes)
    last = max((e.at_seconds for e in writes), default=time.monotonic())
    result.converged_seconds = max(0.0, last - fired) if fired else 0.0
    result.outcome = await read_outcome(world)
    faults = result.faults
    faults += [f"the proxy failed: {f}" for f in world.journal.failures]
    faults += [f"at the end: {v}" for v in await invariants.at_rest()]
    faults += broken_rules(journal, bound)
    faults += ledger_faults(ledger_rows(world), _bound_times(await world.claims()))
    if reference is not None:
        faults += _nearest(reference.outcomes, result.outcome)
        operators = 2 if plan.action == "overtaken" else 1
        faults += count_faults(max(reference.writes, key=len), writes, operators=operators)


def _nearest(references: list[Outcome], seen: Outcome) -> list[str]:
    """Return the differences from the reference that is nearest; fault-free runs needn't all end the same."""
    return min((differences(each, seen) for each in references), key=len)


def _by_uid(claims: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {c["metadata"]["uid"]: c for c in claims}


def _bound_times(claims: list[dict[str, Any]]) -> dict[str, int]:
    allocations = {u: c.get("status", {}).get("allocation", {}) for u, c in _by_uid(claims).items()}
    return {u: parse_instant(a["boundTime"]) for u, a in allocations.items() if "boundTime" in a}


__all__ = ["FATAL", "Reference", "Result", "run"]
