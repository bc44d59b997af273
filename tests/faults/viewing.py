"""What each view action does: hold a collection back while a workload happens, until what the plan is about has been seen by an operator.

Whether it has is the view's to say (`View.was_shown`); a plan that waits in vain goes on and counts as not reached.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from tests.faults.hand import NotSettled
from tests.faults.plan import PAIR_ACTION, Place
from tests.faults.views import View
from tests.faults.workloads.base import Workload
from tests.faults.world import World

HELD_SECONDS: Final = 1.2
"""So long an operator goes on with an old view before it is shown what is new."""
REACH_SECONDS: Final = 20.0
"""Within which an operator must have met the old view."""


async def act_in_view(world: World, workload: Workload, action: str, place: Place) -> None:
    """Let a workload happen while operators see a collection as the action has it."""
    cluster, resource = place.key.split()
    view = world.trouble.views[cluster, resource]
    if action == "replayed":
        view.doubled = view.replayed = True
        await workload.act(world)
    elif action == "gone":
        async with _acting(world, workload):
            await _tell_gone(world, view)
    elif action == "stalled":
        await _until(world, lambda: view.followers(world.operators.pids()))
        view.silence()
        async with _acting(world, workload):
            await _until(world, lambda: view.was_shown(action))
            await _thaw(world, view)
    else:
        view.freeze(await world.revision(cluster, resource), world.operators.pids())
        async with _acting(world, workload):
            await (_hide_pair if action == PAIR_ACTION else _outlive)(world, view)


async def _tell_gone(world: World, view: View) -> None:
    """End all watches as too old when something has changed, and wait until as many are open again."""
    await _until(world, lambda: view.shown.changes)
    pids = world.operators.pids()
    before = view.followers(pids)
    await view.expire()
    world.trouble.fired_seconds = time.monotonic()
    await _until(world, lambda: view.followers(pids) >= before)


async def _outlive(world: World, view: View) -> None:
    """Let the operator end when there is something new, and another one begin with what is old."""
    await _until(world, lambda: view.shown.kept_from)
    await asyncio.sleep(HELD_SECONDS)
    await world.operators.restart()
    await _until(world, lambda: view.was_shown("stale"))
    await asyncio.sleep(HELD_SECONDS)
    await _thaw(world, view)


async def _hide_pair(world: World, view: View) -> None:
    """Hold back until an object has changed there and back, and show what is left of that."""
    await _until(world, lambda: view.pairs)
    await asyncio.sleep(HELD_SECONDS)
    await _thaw(world, view, coalesce=True)


async def _thaw(world: World, view: View, *, coalesce: bool = False) -> None:
    await view.thaw(coalesce=coalesce)
    world.trouble.fired_seconds = time.monotonic()


@asynccontextmanager
async def _acting(world: World, workload: Workload) -> AsyncIterator[None]:
    """Let a workload happen meanwhile, and to its end."""
    acting: asyncio.Task[None] = asyncio.create_task(workload.act(world))
    try:
        yield
        await acting
    finally:
        acting.cancel()


async def _until(world: World, look: Callable[[], object]) -> None:
    """Wait until something is so; who waits in vain goes on."""

    async def is_so() -> bool:
        return bool(look())

    with suppress(NotSettled):
        await world.wait("an operator meets the old view", is_so, seconds=REACH_SECONDS)
