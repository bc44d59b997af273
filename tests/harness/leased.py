"""A leased cluster that a test plays, and a lease's connection to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sublet.clock import SystemClock
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.probe import ProbeTimes
from tests.builders.api import as_lease, lease, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.fake_api import FakeApi, fake_api

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
WEST, OTHER = uid_of("cluster west"), uid_of("another cluster")
QUICK = ProbeTimes(every_seconds=0.05)


@asynccontextmanager
async def one_node() -> AsyncIterator[FakeApi]:
    """Run the cluster with one node, n0."""
    async with fake_api() as running:
        running.objects[KUBE_SYSTEM] = {"metadata": {"uid": WEST}}
        running.objects["/version"] = {"gitVersion": "v1.37.2"}
        running.put(node("n0"))
        yield running


def connected(fake: FakeApi, body: Any = None, **options: Any) -> LeasedCluster:
    """Return a lease's connection to it that hasn't begun."""
    return LeasedCluster(
        as_lease(body or lease("west")),
        fake.endpoint,
        clock=options.pop("clock", SystemClock()),
        lists=asyncio.Semaphore(8),
        on_change=lambda _: None,
        times=options.pop("times", QUICK),
        **options,
    )


@asynccontextmanager
async def engaged(fake: FakeApi, body: Any = None, **options: Any) -> AsyncIterator[LeasedCluster]:
    """Keep a lease's connection to it."""
    cluster = connected(fake, body, **options)
    cluster.start()
    try:
        yield cluster
    finally:
        await cluster.close()


def node(name: str) -> dict[str, Any]:
    """Return a node whose UID goes by its name."""
    body = gpu_node(name)
    body["metadata"]["uid"] = uid_of(name)
    return body
