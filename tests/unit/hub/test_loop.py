"""What the loop does when it may not write."""

import asyncio
from typing import Any

from sublet.api.times import Millis
from sublet.fleet.registry import Fleet
from sublet.hub.batcher import Batcher
from sublet.hub.loop import Loop
from sublet.hub.state import HubState
from tests.harness.fake_api import SteppedClock


async def test_a_mark_that_comes_while_another_leads_is_looked_at_again():
    clock = SteppedClock()
    batcher = Batcher(clock, quiet_seconds=0.01, wait_seconds=0.1)
    state = HubState(batcher.mark)
    state.synced = True
    nobody: Any = None
    loop = Loop(
        state=state,
        fleet=Fleet(clock=clock, on_change=lambda _: None, allow_local=False, hub_servers=[]),
        binder=nobody,
        teller=nobody,
        writer=nobody,
        meter=nobody,
        bookkeeper=nobody,
        accounts=nobody,
        adoption=nobody,
        own=nobody,
        batcher=batcher,
        clock=clock,
        leads=lambda: False,
        took=nobody,
        record=nobody,
        default_tenant=None,
        token_life_seconds=600,
    )
    batcher.look_at(Millis(2**60))

    await loop.look()
    clock.seconds += 1
    await asyncio.wait_for(batcher.wait(), 5)
