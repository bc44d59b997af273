"""When the loop looks."""

import asyncio

import pytest

from sublet.api.times import Millis
from sublet.clock import SystemClock
from sublet.hub.batcher import Batcher


def batcher(quiet: float = 0.01, wait: float = 0.2) -> Batcher:
    return Batcher(SystemClock(), quiet_seconds=quiet, wait_seconds=wait)


async def test_marks_that_come_together_are_one_look():
    batch = batcher()
    for _ in range(100):
        batch.mark()
    await asyncio.wait_for(batch.wait(), 30)

    waiting = asyncio.create_task(batch.wait())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    waiting.cancel()


async def test_marks_without_end_dont_hold_the_look_up():
    batch = batcher(quiet=0.05, wait=0.1)

    async def mark_forever() -> None:
        while True:
            batch.mark()
            await asyncio.sleep(0)

    marking = asyncio.create_task(mark_forever())
    await asyncio.wait_for(batch.wait(), 30)
    marking.cancel()


async def test_a_due_time_is_looked_at_without_any_mark():
    batch = batcher()
    batch.look_at(Millis(SystemClock().now_ms() + 20))

    await asyncio.wait_for(batch.wait(), 30)


async def test_a_cancellation_that_comes_together_with_a_mark_isnt_lost():
    batch = batcher()
    batch.look_at(Millis(SystemClock().now_ms() + 60_000))
    waiting = asyncio.create_task(batch.wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    batch.mark()
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
