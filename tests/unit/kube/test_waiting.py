"""Waiting for an event by a task that may be ended at any instant."""

import asyncio

import pytest

from sublet.kube.waiting import is_set_within


async def test_an_event_that_comes_in_time_and_one_that_doesnt():
    event = asyncio.Event()
    assert not await is_set_within(event, 0.01)
    event.set()
    assert await is_set_within(event, None)


async def test_a_cancellation_that_comes_together_with_the_event_isnt_lost():
    event = asyncio.Event()
    waiting = asyncio.create_task(is_set_within(event, 30))
    await asyncio.sleep(0)
    event.set()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
