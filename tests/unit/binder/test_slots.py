"""Who goes first where requests to a cluster are bounded."""

import asyncio

import pytest

from sublet.binder import slots as slots_module
from sublet.binder.slots import Promises, Slots, Urgency


async def test_a_lock_overtakes_set_up_that_waits():
    slots, order = Slots(1), []

    async def work(name: str, urgency: Urgency) -> None:
        async with slots.take(urgency):
            order.append(name)
            await asyncio.sleep(0)

    async with slots.take(Urgency.SETUP):
        waiting = [
            asyncio.create_task(work("setup", Urgency.SETUP)),
            asyncio.create_task(work("release", Urgency.RELEASE)),
            asyncio.create_task(work("lock", Urgency.LOCK)),
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)

    assert order == ["lock", "release", "setup"]


async def test_no_more_than_so_many_are_at_work_and_a_cancelled_waiter_loses_no_slot():
    slots = Slots(2)
    busy = most = 0

    async def work() -> None:
        nonlocal busy, most
        async with slots.take(Urgency.SETUP):
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1

    tasks = [asyncio.create_task(work()) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[10].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert (busy, most) == (0, 2)
    async with slots.take(Urgency.LOCK), slots.take(Urgency.LOCK):
        pass


async def test_set_up_stands_back_while_claims_are_being_promised_but_not_for_ever():
    promises = Promises(longest_seconds=0.05)

    await promises.stand_back("west")
    async with promises.under_way("west"):
        await asyncio.wait_for(promises.stand_back("west"), 30)
    async with promises.under_way("west"):
        waiting = asyncio.create_task(promises.stand_back("west"))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_promises_in_one_cluster_hold_up_nobody_in_another():
    promises = Promises(longest_seconds=60)

    async with promises.under_way("east"):
        await asyncio.wait_for(promises.stand_back("west"), 30)


async def test_the_books_of_two_nodes_are_changed_at_once_and_one_is_by_one_at_a_time():
    slots, order = Slots(4), []

    async def change(node: str, name: str) -> None:
        async with slots.turn(node):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    await asyncio.gather(change("n0", "a"), change("n0", "b"), change("n1", "c"))

    assert order == ["a begins", "c begins", "a ends", "c ends", "b begins", "b ends"]


async def test_who_waits_too_long_for_a_node_goes_on_without(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slots_module, "TURN_SECONDS", 0.01)
    slots, over = Slots(4), asyncio.Event()

    async def hang() -> None:
        async with slots.turn("n0"):
            await over.wait()

    hanging = asyncio.create_task(hang())
    await asyncio.sleep(0)
    async with slots.turn("n0"):
        assert not hanging.done()
    over.set()
    await hanging
    async with asyncio.timeout(5), slots.turn("n0"):
        pass
