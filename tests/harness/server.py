"""A plane's API server that dies and comes back, with all its connections cut and its caches empty."""

import os
import signal

from tests.harness.pids import api_server_pid
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for
from tests.planes.plane import RESPAWN


def restart_api_server(stack: Stack, plane: str) -> None:
    """Kill a plane's API server and wait until its successor answers."""
    (stack.folder / plane / RESPAWN).touch()
    old = api_server_pid(stack, plane)
    os.kill(old, signal.SIGKILL)
    wait_for("another server", lambda: _is_another(stack, plane, old), seconds=20)
    wait_for("it answers", lambda: stack.kubectl(plane, "get", "--raw", "/readyz", check=False).startswith("ok"), seconds=60)  # fmt: skip


def _is_another(stack: Stack, plane: str, old: int) -> bool:
    try:
        return api_server_pid(stack, plane) != old
    except AssertionError:
        return False
