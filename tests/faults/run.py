"""Runs one plan in a world and judges it: settled in time, the end of the fault-free runs, no invariant broken on the way."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
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
from tests.faults.plan import COUNTED, FATAL, OLD_VIEWS, Place, Plan, places_in
from tests.faults.silence import silences, without_silence
from tests.faults.viewing import act_in_view
from tests.faults.workloads import ALL
from tests.faults.workloads.base import Step, Workload
from tests.faults.world import QUIET_SECONDS, World
from tests.harness.stack import condition

_SAME_END_SECONDS: Final = 90.0
_END_SECONDS: Final = 3.0
"""So long without a write is the end of a run whose end nobody knows yet."""
_ANSWER_SECONDS: Final = 1.2
"""Within which an operator begins to answer what it was shown late: it plans a second after an event at the latest."""


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
    """Whether the fault happened: the place was reached, or what was old was shown."""
    seconds: float
    converged_seconds: float
    """From the fault, or from its end, to the last write."""
    writes: int
    places: list[Place] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Watched kinds of which operators were told changes, as `cluster resource`."""
    tells: bool = False
    """Whether operators told news, such as Events."""
    outcome: Outcome = field(default_factory=dict)
    journal: list[Entry] = field(default_factory=list)


async def run(
    world: World,
    plan: Plan,
    reference: Reference | None,
    invariants: Invariants,
    act: Step | None = None,
) -> Result:
    """Carry out a plan, with another act than its workload's if one is given; whatever went wrong is in the result's faults."""
    workload, begun = ALL[plan.workload], time.monotonic()
    faults: list[str] = []
    result = Result(plan.line, faults, hit=False, seconds=0.0, converged_seconds=0.0, writes=0)
    with _telling(faults):
        await workload.prepare(world)
        await world.quiet()
        if plan.action == "stalled" and plan.place is not None:
            await world.operators.impatient_of(plan.place.key.split()[1])
            await world.quiet()
        world.begin()
        bound = {
            u for u, c in _by_uid(await world.claims()).items() if condition(c, "Bound") == "True"
        }
        _watch_invariants(world, invariants, faults)
        with _telling(faults):
            await _act(world, replace(workload, act=act or workload.act), plan)
            await _settle(world, plan, reference)
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
    with _telling(faults):
        await world.operators.be_patient()
    try:
        await world.reset()
    except NotSettled as error:
        faults.append(f"not clean again: {error}")
        await world.operators.restart()
        await world.reset()


async def _settle(world: World, plan: Plan, reference: Reference | None) -> None:
    """Wait for the end of the fault-free runs, if they are known, and until nobody writes any more.

    What has just happened may not be answered by a write yet: the time without one begins here.
    """
    since = time.monotonic()
    if reference is None:
        # what nobody knows the end of is given time for it: on a busy machine a pause is soon taken for an end
        await world.quiet(_END_SECONDS, since)
        return
    seconds = _ANSWER_SECONDS if plan.action in OLD_VIEWS else QUIET_SECONDS

    async def is_there() -> bool:
        return not _other_end(world, plan, reference, await read_outcome(world))

    async def look() -> bool:
        # all at once: a write that was held up may still come after the end was there once
        if not (world.is_quiet(seconds, since) and world.all_stand() and await is_there()):
            return False
        # one came while the end was read: of two operators one says what the other hasn't looked at yet
        await world.quiet()
        return await is_there()

    with suppress(NotSettled):  # what differs is told when it is judged
        await world.wait("the same end", look, seconds=_SAME_END_SECONDS)
    await world.quiet()


def _watch_invariants(world: World, invariants: Invariants, faults: list[str]) -> None:
    async def look(entry: Entry) -> None:
        if entry.target.resource in COUNTED:
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
    if plan.action in OLD_VIEWS and place is not None:
        await act_in_view(world, workload, plan.action, place)
        return
    if plan.action == "overtaken":
        await _prepare_overtaking(world)
    world.trouble.arm(place, plan.action)
    await workload.act(world)


async def _prepare_overtaking(world: World) -> None:
    """Start a second operator that may not write yet; at the plan's write it comes first, and the write comes late."""
    second = await world.operators.start("second")
    gate = world.trouble.held[second] = asyncio.Event()

    async def stands() -> bool:
        return world.stands(second)

    await world.wait("the second operator stands", stands)

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
    result.hit = plan.action == "none" or world.trouble.has_happened(plan)
    result.changed = world.trouble.changed_views()
    result.tells = any(e.is_news for e in journal)
    result.writes, result.places = len(writes), places_in(writes)
    last = max((e.at_seconds for e in writes), default=time.monotonic())
    result.converged_seconds = max(0.0, last - fired) if fired else 0.0
    result.outcome = await read_outcome(world)
    faults = result.faults
    faults += [f"the proxy failed: {f}" for f in world.journal.failures]
    faults += [f"at the end: {v}" for v in await invariants.at_rest()]
    faults += broken_rules(journal, bound)
    faults += ledger_faults(ledger_rows(world), _bound_times(await world.claims()))
    # where the fault never happened it is one more run without one, and compared with none
    if reference is not None and result.hit:
        faults += _other_end(world, plan, reference, result.outcome)
        operators = 2 if plan.action == "overtaken" else 1
        started = {e.pid for e in journal} - world.veterans - {0}
        tell = silences(writes) + bool(started)
        faults += count_faults(reference.writes, writes, operators=operators, leases_tell=tell)


def _other_end(world: World, plan: Plan, reference: Reference, seen: Outcome) -> list[str]:
    """Return the differences from the fault-free end that is nearest; fault-free runs needn't all end the same."""
    ends = [*reference.outcomes, seen]
    if plan.action == "partition" or silences(world.journal.writes):
        ends = [without_silence(each) for each in ends]
    return min((differences(each, ends[-1]) for each in ends[:-1]), key=len)


def _by_uid(claims: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {c["metadata"]["uid"]: c for c in claims}


def _bound_times(claims: list[dict[str, Any]]) -> dict[str, int]:
    allocations = {u: c.get("status", {}).get("allocation", {}) for u, c in _by_uid(claims).items()}
    return {u: parse_instant(a["boundTime"]) for u, a in allocations.items() if "boundTime" in a}


__all__ = ["FATAL", "Reference", "Result", "run"]
