"""A node's book is changed by one claim at a time, unless somebody hangs."""

import asyncio

from sublet.fleet.node_turns import NodeTurns


class Changes:
    """Changes of nodes' books, in the order in which they begin and end."""

    def __init__(self, turns: NodeTurns) -> None:
        self._turns = turns
        self.order: list[str] = []

    async def change(self, node: str, name: str, over: asyncio.Event | None = None) -> None:
        async with self._turns.of(node):
            self.order.append(f"{name} begins")
            await (over.wait() if over else asyncio.sleep(0))
            self.order.append(f"{name} ends")


async def test_one_node_is_changed_by_one_at_a_time_and_another_one_meanwhile():
    changes = Changes(NodeTurns())

    await asyncio.gather(
        changes.change("n0", "a"), changes.change("n0", "b"), changes.change("n1", "c")
    )

    assert changes.order == ["a begins", "c begins", "a ends", "c ends", "b begins", "b ends"]


async def test_who_waits_long_goes_on_beside_who_hangs_and_the_next_ones_take_turns_again():
    changes, over = Changes(NodeTurns(longest_seconds=0.5)), asyncio.Event()
    hanging = asyncio.create_task(changes.change("n0", "a", over))
    await asyncio.sleep(0)

    await changes.change("n0", "b")
    over.set()
    await hanging
    await asyncio.gather(changes.change("n0", "c"), changes.change("n0", "d"))

    beside = ["a begins", "b begins", "b ends", "a ends"]
    assert changes.order == [*beside, "c begins", "c ends", "d begins", "d ends"]


async def test_who_is_cancelled_while_it_waits_or_changes_keeps_nobody_waiting():
    changes, never = Changes(NodeTurns(longest_seconds=600)), asyncio.Event()
    tasks = [asyncio.create_task(changes.change("n0", name, never)) for name in ("a", "b")]
    last = asyncio.create_task(changes.change("n0", "c"))
    await asyncio.sleep(0)
    for task in reversed(tasks):
        task.cancel()
        await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await last
    assert changes.order == ["a begins", "c begins", "c ends"]
