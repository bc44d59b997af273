"""A plane's API server that dies and comes back, with all its connections cut and its caches empty."""

import json
import os
import signal

from tests.builders.api import claim
from tests.harness.pids import api_server_pid
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for
from tests.planes.plane import RESPAWN


def restart_api_server(stack: Stack, plane: str) -> None:
    """Kill a plane's API server and wait until its successor answers."""
    (stack.running.folder / plane / RESPAWN).touch()
    old = api_server_pid(stack, plane)
    os.kill(old, signal.SIGKILL)
    wait_for("another server", lambda: _is_another(stack, plane, old))
    wait_for("it answers", lambda: answers(stack, plane))


def answers(stack: Stack, plane: str) -> bool:
    """Say whether it is ready and serves our kinds again, which come a moment later."""
    ready = stack.kubectl(plane, "get", "--raw", "/readyz", check=False).startswith("ok")
    if plane != "hub":
        return ready
    asked = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    return ready and "rror" not in stack.kubectl(plane, *asked, given=json.dumps(claim("asked", "default")), check=False)  # fmt: skip


def _is_another(stack: Stack, plane: str, old: int) -> bool:
    try:
        return api_server_pid(stack, plane) != old
    except AssertionError:
        return False
