"""Waiting for an event by a task that may be ended at any instant: of a connection, of the hub's loop."""

import asyncio


async def is_set_within(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until an event is set, or for so long; say whether it is. None: however long it takes.

    Not `asyncio.wait_for`: Python 3.11's loses a cancellation that comes together with the event, and whoever waits for the
    task to end waits for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
