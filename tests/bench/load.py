"""Many requests by one client, so many at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer, Limits

AT_ONCE = 32


async def many(works: Iterable[Callable[[], Awaitable[Any]]]) -> float:
    """Run works, so many at once; return the seconds it took."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(work: Callable[[], Awaitable[Any]]) -> None:
        async with slots:
            await work()

    begun = time.perf_counter()
    await asyncio.gather(*(run(work) for work in works))
    return time.perf_counter() - begun


@asynccontextmanager
async def session(kubeconfig: Path) -> AsyncIterator[ApiServer]:
    """Open a session with as many connections as `many` uses."""
    endpoint = await hub_endpoint(kubeconfig=str(kubeconfig))
    async with ApiServer(endpoint, Limits(connections=AT_ONCE)) as api:
        yield api
