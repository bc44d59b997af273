"""How long a token goes on being accepted: asked again and again, as fast as the server answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sublet.kube.errors import Forbidden, KubeError, Unauthorized
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer

Act = Callable[[ApiServer], Awaitable[None]]


async def seconds_until_refused(
    admin: Path, tenant: Path, path: str, act: Act, refusal: type[KubeError], *, patience: float
) -> float:
    """Use a token, do something to it as the cluster's admin, and return after how long it met this refusal."""
    async with (
        ApiServer(await hub_endpoint(kubeconfig=str(admin))) as own,
        ApiServer(await hub_endpoint(kubeconfig=str(tenant))) as used,
    ):
        await used.get(path)  # used just before: the server keeps what it found out for ten seconds
        await act(own)
        return await until_refused(used, path, refusal, patience=patience)


async def until_refused(
    used: ApiServer, path: str, refusal: type[KubeError], *, patience: float
) -> float:
    """Ask until this refusal comes; return after how long. AssertionError after so many seconds."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < patience:
        try:
            await used.get(path)
        except (Forbidden, Unauthorized) as error:
            if isinstance(error, refusal):
                return waited
        await asyncio.sleep(0.02)
    raise AssertionError(f"still no {refusal.__name__} after {patience} s")
