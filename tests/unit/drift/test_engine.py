"""When clusters are looked at."""

import asyncio
from types import SimpleNamespace
from typing import Any

from sublet.drift.engine import Drift
from tests.builders.api import as_lease, lease, uid_of
from tests.harness.fake_api import SteppedClock

WEST = as_lease(lease("west"))
EVERY_SECONDS = 20.0


def drift(clock: SteppedClock, looks: Any) -> Drift:
    """Return the looks at one cluster, each of which does what `looks` does."""
    nodes: Any = SimpleNamespace(nodes={})
    facts = SimpleNamespace(synced=True, cluster_uid=uid_of("cluster"))
    cluster: Any = SimpleNamespace(
        facts=facts, inventory=lambda: nodes, note_orphans=lambda _: None
    )
    made = Drift(
        cluster=lambda _: cluster,
        claims=lambda: (),
        awaited=lambda: (),
        binder=SimpleNamespace(is_busy=lambda _: False),
        tools=SimpleNamespace(clock=clock),
        sweeper=SimpleNamespace(recall=lambda _: None),
        changed=lambda: None,
        every_seconds=EVERY_SECONDS,
    )
    made._look_at = looks  # type: ignore[method-assign]  # what a look does is told elsewhere
    return made


async def test_a_look_that_hangs_keeps_nobody_busy():
    clock, hung = SteppedClock(), asyncio.Event()

    async def hang(*_: object) -> None:
        await hung.wait()

    looks = drift(clock, hang)
    looks.tend([WEST])
    await asyncio.sleep(0)
    clock.seconds += EVERY_SECONDS * 10
    looks.tend([WEST])

    assert looks.due_ms is None
    hung.set()


async def test_the_next_look_is_due_when_the_last_is_over():
    clock = SteppedClock()

    async def nothing(*_: object) -> None: ...

    looks = drift(clock, nothing)
    looks.tend([WEST])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    looks.tend([WEST])

    assert looks.due_ms is not None
    assert looks.due_ms - clock.now_ms() > EVERY_SECONDS * 900
