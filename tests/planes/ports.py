"""Ports for servers that are given one before they listen.

Between the choice of a port and the server's bind lie seconds, in which another set of planes may choose it too; and an
API server that a test kills and starts again must find its own free. So a port is ours by a lock on a file, held until
this process ends: all sets on a machine, of any checkout, take theirs here.
"""

import contextlib
import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path

_FIRST_PORT, _PORTS = 12_000, 20_000
"""Below those that the kernel gives to outgoing connections: one of these could take a port before its server does."""
_HELD: list[int] = []
"""File descriptors of the locks; a child doesn't inherit them."""


def take_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, and that no other process takes here while this one lives."""
    return [_take() for _ in range(count)]


def _take() -> int:
    folder = Path(tempfile.gettempdir()) / f"sublet-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        port = _FIRST_PORT + secrets.randbelow(_PORTS)
        lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.create_server(("127.0.0.1", port)):
                _HELD.append(lock)
                return port
        os.close(lock)
