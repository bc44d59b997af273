"""A leased cluster that goes away: its API server is frozen, connections stay open and nothing answers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.pids import api_server_pid
from tests.harness.stack import Stack


@contextmanager
def away(stack: Stack, plane: str) -> Iterator[None]:
    """Freeze a plane's API server for the length of the block."""
    pid = api_server_pid(stack, plane)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
