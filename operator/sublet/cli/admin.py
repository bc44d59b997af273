"""The way to the operator's admin endpoint: a port-forward to the leader's pod, or a URL given by hand.

The endpoint listens on loopback inside the pod only, so whoever may use it has pods/portforward there.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from sublet.cli.problems import Problem
from sublet.kube.session import ApiServer

ADMIN_PORT = 8081
_FORWARDING = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+)")
_FORWARD_SECONDS = 15.0


@asynccontextmanager
async def admin_url(
    hub: ApiServer, *, namespace: str, context: str | None, given: str | None
) -> AsyncIterator[str]:
    """Yield the endpoint's base URL; the port-forward ends with the block."""
    if given:
        yield given.rstrip("/")
        return
    pod = await _leader(hub, namespace)
    command = ["kubectl", "-n", namespace, "port-forward", f"pod/{pod}", f":{ADMIN_PORT}"]
    if context:
        command[1:1] = ["--context", context]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise Problem("kubectl isn't on the PATH; install it or give --admin-url") from None
    try:
        yield f"http://127.0.0.1:{await _forwarded_port(process)}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def fetch(base: str, path: str, params: Mapping[str, str]) -> Any:
    """GET a JSON document from the endpoint; its own error text becomes the Problem."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(base + path, params=params) as got,
        ):
            if got.content_type != "application/json":
                raise Problem(
                    f"the operator's answer is no JSON ({got.status} {got.reason}); see its log"
                )
            answer = await got.json()
            if got.status >= 400:  # noqa: PLR2004  HTTP's error classes
                raise Problem(f"the operator says: {answer.get('error', got.reason)}")
            return answer
    except (aiohttp.ClientError, OSError) as error:
        raise Problem(
            f"the operator's admin endpoint at {base} doesn't answer ({error}); is the operator running?"
        ) from error


async def _leader(hub: ApiServer, namespace: str) -> str:
    """Return the pod that holds the operator's Lease; its holder's name begins with the pod's."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/sublet"
    lease: dict[str, Any] = await hub.get(path)
    holder = lease.get("spec", {}).get("holderIdentity") or ""
    if not holder:
        raise Problem("no operator holds the Lease now; see kubectl -n sublet-system get pods")
    return str(holder).split("_")[0]


async def _forwarded_port(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None  # noqa: S101  we asked for a pipe
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _FORWARD_SECONDS)
    except TimeoutError:
        line = b""
    found = _FORWARDING.search(line)
    if found is None:
        raise Problem(
            "kubectl port-forward to the operator's pod failed; may you use pods/portforward?"
        )
    return int(found[1])
