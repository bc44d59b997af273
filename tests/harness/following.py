"""An informer at work on a fake API server, and what it told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sublet.kube.informer import Informer, Target
from sublet.kube.session import ApiServer
from sublet.kube.wire import Meta, Node
from tests.harness.fake_api import FakeApi, SteppedClock, eventually


class Following:
    """An informer at work and what it told."""

    def __init__(self, fake: FakeApi, api: ApiServer, **options: Any) -> None:
        self.fake = fake
        self.clock = SteppedClock()
        self.seen: dict[str, Node] = {}
        self.deleted: list[str] = []
        self.changes = 0
        self.informer = Informer(
            api,
            Target(fake.path),
            Node,
            upsert=options.pop("upsert", self.upsert),
            delete=self.delete,
            changed=self.change,
            clock=self.clock,
            lists=options.pop("lists", asyncio.Semaphore(8)),
            sleep=self.clock.sleep,
            **options,
        )

    def upsert(self, node: Node) -> None:
        self.seen[node.metadata.name] = node

    def delete(self, meta: Meta) -> None:
        self.seen.pop(meta.name, None)
        self.deleted.append(meta.name)

    def change(self) -> None:
        self.changes += 1

    async def watching(self, times: int = 1) -> None:
        await eventually("a watch is open", lambda: self.fake.open_watches)
        await eventually("so many watches", lambda: len(self.fake.watches) >= times)


@asynccontextmanager
async def following(fake: FakeApi, **options: Any) -> AsyncIterator[Following]:
    async with ApiServer(fake.endpoint) as api:
        found = Following(fake, api, **options)
        task = asyncio.create_task(found.informer.run())
        try:
            yield found
            assert not task.done(), "the informer ended by itself"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def node(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}}
