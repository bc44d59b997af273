"""The way to the operator's admin endpoint: a port-forward to the pod that leads, or a URL given by hand.

The endpoint listens on loopback inside the pod only, so whoever may use it has pods/portforward there.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from sublet.cli.connect import Cluster
from sublet.cli.contexts import find_context
from sublet.cli.problems import Problem
from sublet.kube.errors import Forbidden, NotFound
from sublet.kube.lists import objects_of

ADMIN_PORT: Final = 8081
_FORWARDING: Final = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+)")
_FORWARD_SECONDS: Final = 15.0
_OPERATORS: Final = {"labelSelector": "app.kubernetes.io/name=sublet", "fieldSelector": "status.phase=Running"}  # fmt: skip
"""As the chart labels them."""
_LONGEST: Final = 300
"""Of another program's words."""
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
_LEDGER_SECONDS: Final = 3_600.0
_WHOLE_LEDGER: Final = ("/admin/v1/usage", "/admin/v1/ledger/open", "/admin/v1/ledger/verify")
"""What may be read from the first line to the last before a word of the answer comes."""


@asynccontextmanager
async def forwarded(hub: Cluster, namespace: str, context: str | None) -> AsyncIterator[str]:
    """Yield the endpoint's base URL; the port-forward ends with the block."""
    pod = await _pod(hub, namespace)
    command = ["kubectl", "-n", namespace, "port-forward", f"pod/{pod}", f":{ADMIN_PORT}"]
    if found := find_context(context):
        command[1:1] = ["--context", found.name]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise Problem("kubectl isn't on the PATH; install it or give --admin") from None
    try:
        yield f"http://127.0.0.1:{await _forwarded_port(process)}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def fetch(base: str, path: str, params: Mapping[str, str]) -> dict[str, Any]:
    """GET a JSON document from the endpoint; its own error text becomes the Problem."""
    seconds = _LEDGER_SECONDS if path in _WHOLE_LEDGER else _ANSWER_SECONDS
    limits = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits) as session,
            session.get(base + path, params=params) as got,
        ):
            if got.content_type != "application/json":
                raise Problem(
                    f"the answer of {base} is no JSON ({got.status} {got.reason}); is that the operator's admin port?"
                )
            answer = await got.json()
            if not isinstance(answer, dict):
                raise Problem(f"{base} isn't the operator's admin endpoint; check --admin")
            if got.status >= HTTPStatus.BAD_REQUEST:
                raise Problem(f"the operator says: {answer.get('error', got.reason)}")
            return answer
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        raise Problem(f"--admin: {base!r} is no address; give it as http://HOST:PORT") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _unanswered(base, error, seconds) from error


def _unanswered(base: str, error: Exception, seconds: float) -> Problem:
    """Return what became of a request: a deadline that isn't the client's own to connect is that of the answer."""
    endpoint = f"the operator's admin endpoint at {base}"
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
        return Problem(
            f"{endpoint} hasn't answered in {seconds:g} seconds; see what the operator is at, or read the database itself "
            "(--database) where the command can"
        )
    return Problem(f"{endpoint} doesn't answer ({error}); is the operator running?")


async def _pod(hub: Cluster, namespace: str) -> str:
    """Return the pod that holds the operator's Lease, else the one that runs: not every operator writes a Lease."""
    holder = await _holder(hub, namespace)
    if holder and await _is_there(hub, namespace, holder):
        return holder
    running = await _running(hub, namespace)
    if len(running) > 1 and holder is not None:
        raise Problem(
            f"no operator leads now (its pods {', '.join(running)} run); try again in a moment"
        )
    if len(running) > 1:
        raise Problem(
            f"nobody holds the operator's Lease, and its pods {', '.join(running)} run in namespace {namespace}: with "
            "SUBLET_LEADER_ELECTION=false only one may run; forward a port of the right one yourself and give --admin"
        )
    if running or holder:
        return running[0] if running else str(holder)  # kubectl says that it is gone
    if holder is None:
        raise Problem(
            f"no operator has run in namespace {namespace} of the hub; check --operator-namespace and --context"
        )
    raise Problem(f"no operator holds the Lease now; see kubectl -n {namespace} get pods")


async def _holder(hub: Cluster, namespace: str) -> str | None:
    """Return which pod holds the Lease, with whose name the holder's begins; empty if none does, None if there is no Lease."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/sublet"
    try:
        lease = await hub.get(path)
    except NotFound:
        return None
    return str(lease.get("spec", {}).get("holderIdentity") or "").split("_")[0]


async def _is_there(hub: Cluster, namespace: str, pod: str) -> bool:
    with suppress(Forbidden):  # kubectl says so, too
        try:
            await hub.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")
        except NotFound:
            return False
    return True


async def _running(hub: Cluster, namespace: str) -> list[str]:
    """Return the operator's pods that run and aren't told to end."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    metas = [pod["metadata"] for pod in objects_of(await hub.get(path, **_OPERATORS), path)]
    return sorted(meta["name"] for meta in metas if "deletionTimestamp" not in meta)


async def _forwarded_port(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None  # noqa: S101  we asked for pipes
    assert process.stderr is not None  # noqa: S101  likewise
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _FORWARD_SECONDS)
    except TimeoutError:
        line = b""
    found = _FORWARDING.search(line)
    if found is not None:
        return int(found[1])
    if process.returncode is None and not line:
        process.terminate()
    words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
    said = words[-1][:_LONGEST] if words else "no answer"
    raise Problem(f"kubectl port-forward to the operator's pod failed: {said}")
