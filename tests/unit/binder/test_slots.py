"""Who goes first where requests to a cluster are bounded."""

import asyncio

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
