"""Work on a bound claim that must wait, and the wall clock, which may be set back."""

import asyncio

from sublet.api import move_status
from sublet.binder.binder import Binder
from tests.builders.api import NOW
from tests.builders.clusters import Hub, tools_of
from tests.harness.fake_api import SteppedClock
from tests.unit.binder.test_moves import LEASES, replacing, with_status


async def test_what_was_put_off_is_begun_again_however_far_the_wall_clock_is_set_back():
    ready, _, decision = replacing()
    bound = with_status(ready, move_status.unmoved(ready, NOW))
    clock, idle = SteppedClock(), asyncio.Event()
    tools = tools_of(Hub(bound), LEASES, {})
    tools.clock = clock
    binder = Binder(
        tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: idle.set()
    )
    assert binder.relocate(bound, decision)
    await idle.wait()
    assert not binder.relocate(bound, decision)

    clock.set_back_seconds = 86_400
    clock.seconds += 60
    assert binder.due_ms is not None
    assert binder.due_ms <= clock.now_ms()
    assert binder.relocate(bound, decision)
    await binder.close(1)
