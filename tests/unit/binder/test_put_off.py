"""Work on a bound claim that must wait, and the wall clock, which may be set back."""

import asyncio
from typing import Any

from sublet.api import move_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.binder.binder import Binder
from tests.builders.api import NOW, with_status
from tests.builders.clusters import Hub, tools_of
from tests.builders.renewals import Setup
from tests.builders.replacing import LEASES, replacing
from tests.harness.fake_api import SteppedClock


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


async def test_a_claim_is_put_right_while_its_tokens_wait_for_that():
    setup, idle = Setup(), asyncio.Event()
    meta = setup.claim.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    claim = setup.claim.model_copy(update={"metadata": meta})
    binder = Binder(
        setup.tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: idle.set()
    )
    assert binder.tend(claim)  # no cluster gives a new token
    await idle.wait()
    assert not binder.tend(claim)

    async def mended(live: GpuClaim, _: Any) -> GpuClaim:
        return live

    assert binder.mend(claim, mended)
    await binder.close(1)
