"""Which operator sent a request: the process that owns the other end of a loopback connection."""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

_ESTABLISHED = "01"
_LOOKS = 5
"""The kernel's table of connections isn't read in one piece: while others come and go, a line of it can be missed."""


def owner_of(port: int, server_port: int, pids: Collection[int]) -> int:
    """Return the process among these that holds the connection from `port` to `server_port`, 0 if none does."""
    inode = _inode(port, server_port)
    if inode is None:
        return 0
    wanted = f"socket:[{inode}]"
    return next((pid for pid in pids if wanted in _handles(pid)), 0)


class Connection(Protocol):
    """One that is open or not."""

    def is_closing(self) -> bool:
        """Say whether it is over."""
        ...


class Owners:
    """Which process holds each connection, found out once: a connection stays with the process that opened it.

    A look at the kernel's table takes long where there are many connections, and everybody waits for it. What no look finds is
    who held the port before, if it still runs.
    """

    def __init__(self, look: Callable[[int, int, Collection[int]], int] = owner_of) -> None:
        self._look = look
        self._open: dict[Connection, int] = {}  # who asks -> pid; they take no weak reference
        self._known: dict[int, int] = {}  # port of the one who asks -> pid

    def of(self, connection: Connection, port: int, server_port: int, pids: Collection[int]) -> int:
        """Return the process among these that holds a connection, 0 if none is found at several looks."""
        if (known := self._open.get(connection, 0)) in pids:
            return known
        for _ in range(_LOOKS):
            if found := self._look(port, server_port, pids):
                self._open = {c: pid for c, pid in self._open.items() if not c.is_closing()}
                self._open[connection] = self._known[port] = found
                return found
        known = self._known.get(port, 0)
        return known if known in pids else 0


def _inode(port: int, server_port: int) -> str | None:
    ours, theirs = f":{port:04X}", f":{server_port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(ours) and fields[2].endswith(theirs) and fields[3] == _ESTABLISHED:
            return fields[9]
    return None


def _handles(pid: int) -> set[str]:
    found = set()
    try:
        for each in os.scandir(f"/proc/{pid}/fd"):
            try:
                found.add(os.readlink(each.path))  # noqa: PTH115  a socket is no path
            except OSError:
                continue
    except OSError:
        return set()
    return found
