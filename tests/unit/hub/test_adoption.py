"""What adoption remembers of nodes that it couldn't tend."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from sublet.api.gpulease import GpuLease
from sublet.api.kinds import IN_USE_FINALIZER
from sublet.hub.adoption import Adoption
from sublet.kube.errors import Unreachable
from tests.builders.api import as_lease, uid_of
from tests.builders.wire import wire_node
from tests.harness.fake_api import SteppedClock


def west() -> GpuLease:
    """Return a lease that can't vanish and whose cluster is known: only for such a one nodes are marked."""
    found = as_lease(finalizers=(IN_USE_FINALIZER,))
    status = found.status.model_copy(update={"cluster_uid": uid_of("west")})
    return found.model_copy(update={"status": status})


WEST = west()


class Liar:
    """A cluster that shows another node each time, and none when it is asked for it."""

    lease_uid = WEST.metadata.uid
    facts = SimpleNamespace(is_isolated=True)

    def __init__(self) -> None:
        self.api = self
        self.asked: list[str] = []
        self.shown = 0

    def nodes(self) -> list[Any]:
        return [wire_node(f"n{self.shown}")]

    def is_foreign(self, _: str) -> bool:
        return False

    async def get_as(self, path: str, *_: Any) -> Any:
        self.asked.append(path)
        raise Unreachable("no answer")


@asynccontextmanager
async def adopting() -> AsyncIterator[tuple[Adoption, Any, SteppedClock]]:
    """Run adoption for a cluster that lies."""
    clock, liar = SteppedClock(), Liar()
    cluster: Any = liar
    adoption = Adoption(lambda _: cluster, clock, lambda: None)
    yield adoption, liar, clock
    await adoption.close()


async def tended(adoption: Adoption, liar: Liar) -> None:
    """Let adoption look once, and wait until what it began is over."""
    adoption.tend([WEST])
    await asyncio.gather(*adoption._tasks.values())


async def test_a_node_that_couldnt_be_tended_is_left_for_a_while():
    async with adopting() as (adoption, liar, clock):
        await tended(adoption, liar)
        await tended(adoption, liar)
        assert len(liar.asked) == 1
        clock.seconds += 11
        await tended(adoption, liar)

    assert len(liar.asked) == 2


async def test_names_without_end_are_not_remembered_for_longer_than_they_are_left():
    async with adopting() as (adoption, liar, clock):
        for number in range(5):
            liar.shown = number
            await tended(adoption, liar)
            clock.seconds += 11

        assert len(liar.asked) == 5
        assert len(adoption._again_at) == 1
