"""A call of the store may last for as long as it goes on; one that is silent for too long is away."""

import asyncio
import gc
from threading import Semaphore

import pytest

from sublet.ledger.port import LedgerUnavailable
from sublet.store.worker import Worker


async def test_a_call_that_goes_on_is_waited_for_however_often_its_time_is_over(monkeypatch):
    step, stepped, reader, wait = Semaphore(0), Semaphore(0), Worker("reader"), asyncio.wait

    def read() -> str:
        for _ in range(3):
            step.acquire()
            reader.beat()
            stepped.release()
        return "all of it"

    over: list[float] = []

    async def time_is_over(calls, *, timeout):
        if len(over) == 3:
            return await wait(calls)
        over.append(timeout)
        step.release()
        await asyncio.to_thread(stepped.acquire)
        return set(), calls

    monkeypatch.setattr(asyncio, "wait", time_is_over)
    assert await reader.run(read, 300.0) == "all of it"
    assert over == [300.0] * 3
    reader.close()


async def test_a_call_that_is_silent_is_away_and_so_is_the_next_one_until_it_ends():
    hold, reader = Semaphore(0), Worker("reader")
    for words in ("hasn't answered", "doesn't answer"):
        with pytest.raises(LedgerUnavailable, match=words):
            await reader.run(hold.acquire, 0.01)
    hold.release()
    reader.close()


async def test_a_call_that_fails_when_nobody_waits_for_it_any_more_is_no_fault_of_the_program():
    said, hold, reader = list[str](), Semaphore(0), Worker("reader")
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: said.append(fault["message"]))

    def fail() -> None:
        hold.acquire()
        raise OSError("gone")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reader.run(fail, 300.0)
    hold.release()
    await reader.run(lambda: None, 300.0)
    gc.collect()

    assert said == []
    reader.close()
