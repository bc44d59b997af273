"""One history from its seed to its end: actors and faults for a while, then calm, then everything must be at rest."""

import asyncio
import functools
import gc
import random
import time
import traceback
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

import structlog

from sublet.fleet import registry
from sublet.fleet.kubeconfig import parse_kubeconfig
from sublet.kube import informer
from sublet.kube.informer import WATCH_SECONDS
from tests.simulation.actors import Actors
from tests.simulation.checks import Checks
from tests.simulation.loop import Deadlock, SimLoop
from tests.simulation.plan import Plan
from tests.simulation.world import World

QUIET_SECONDS: Final = 100.0
"""At rest: no operator has written anything but Leases for so long."""
PATIENCE_SECONDS: Final = 1_500.0
"""Of virtual time, from when faults end until everything is at rest."""
RELIST_SECONDS: Final = 600.0
"""All is listed again so often, instead of hourly: what only that settles comes to rest in a shorter history."""
_FAULTY_LOGS: Final = frozenset({"error", "exception", "critical"})
_SAID: Final = frozenset({"ledger", "accounts not read", "the Lease is lost: this process ends"})
"""What is logged as an error for good reason."""


@dataclass
class Result:
    """What came of one history."""

    plan: Plan
    violations: list[str]
    writes: int
    requests: int
    faults: Counter[str]
    convergence_seconds: float
    cpu_seconds: float
    digest: int
    trace: list[str] = field(repr=False)


def play(plan: Plan) -> Result:
    """Play a history."""
    begun = time.process_time()
    random.seed(plan.seed)  # the operator's jitter
    loop = SimLoop(random.Random(f"order {plan.seed}"))
    asyncio.set_event_loop(loop)
    gc.disable()  # a history is short, and its garbage is a loop that ends with it
    world = World(plan, loop)
    checks = Checks(world)
    often = mock.patch.object(informer, "RELIST_SECONDS", RELIST_SECONDS)
    with world.network.wired(), _logs(world), _parsed_once(), often:
        try:
            loop.run_until_complete(_live(world, checks))
        except Deadlock as deadlock:
            world.violate(str(deadlock))
        for surprise in loop.surprises:
            world.violate(f"nobody looked at: {surprise}")
        _end(world, loop)
    checks.close()
    world.database.close()
    gc.enable()
    return Result(
        plan=plan,
        violations=world.violations,
        writes=world.writes,
        requests=world.network.requests,
        faults=world.faults,
        convergence_seconds=checks.rested_at - checks.calm_at,
        cpu_seconds=time.process_time() - begun,
        digest=hash(tuple(world.trace)),
        trace=world.trace,
    )


async def _live(world: World, checks: Checks) -> None:
    actors = Actors(world)
    for replica in world.replicas:
        replica.start()
    actors.start()
    with suppress(TimeoutError):
        async with asyncio.timeout(world.plan.seconds):
            await world.over.wait()
    await actors.calm()
    if not world.plan.elects:
        # two that decide at once do no harm, but may undo each other's words without end: somebody scales them to one
        for replica in world.replicas[1:]:
            replica.retire()
    checks.calm_at = checks.rested_at = world.last_write_at = world.loop.time()
    if world.rewound:
        # an operator's own answers may be ahead of a restored server; the list that comes when that watch ends settles it
        await asyncio.sleep(RELIST_SECONDS * 1.25 + WATCH_SECONDS[1])
    end = world.loop.time() + PATIENCE_SECONDS
    while not world.violations and world.loop.time() < end:
        await asyncio.sleep(10.0)
        if world.loop.time() - world.last_write_at > QUIET_SECONDS:
            break
    else:
        if not world.violations:
            world.violate(f"not at rest {PATIENCE_SECONDS:.0f} s after the last fault")
    checks.rested_at = world.last_write_at
    if not world.violations:
        checks.at_rest()


def _end(world: World, loop: SimLoop) -> None:
    """Throw everything away that still runs."""
    for replica in world.replicas:
        world.network.dead.add(replica.actor)
    for _ in range(5):
        tasks = [t for t in asyncio.all_tasks(loop) if not t.done()]
        if not tasks:
            break
        for replica in world.replicas:
            loop.resume(replica.actor)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
    loop.close()
    asyncio.set_event_loop(None)


@contextmanager
def _logs(world: World) -> Iterator[None]:
    """Take the operator's log into the trace; a traceback is a violation."""

    def take(_: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        if method in _FAULTY_LOGS and event.get("event") not in _SAID:
            text = {k: v for k, v in event.items() if k != "exc_info"}
            if event.get("exc_info"):
                text["traceback"] = traceback.format_exc()
            world.violate(f"the log has an error: {text}")
        elif method != "debug":
            world.note(f"log {dict(event)}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[take], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Parse each kubeconfig once: it takes more time than all the rest of an engagement."""
    with mock.patch.object(registry, "parse_kubeconfig", _parse):
        yield


@functools.cache
def _cached(data: bytes) -> Any:
    return parse_kubeconfig(data, allow_local=True, hub_servers=())


def _parse(data: bytes, **_: Any) -> Any:
    return _cached(data)
