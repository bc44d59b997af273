"""A plane that is restored from a backup, as an administrator does it: everything stopped, etcd's files replaced, started again."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.harness.server import answers
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for
from tests.planes.plane import RESPAWN

COUNTER = "counter"
"""A ConfigMap in `default` that a backup, taken before `write_on`, doesn't have."""
_REVISIONS = 1_000


def back_up(stack: Stack, plane: str) -> Path:
    """Copy what a plane's etcd holds and return where it is; the plane is down meanwhile."""
    copy = stack.running.folder / f"{plane}.backup"
    with _stopped(stack, plane) as data:
        shutil.copytree(data, copy)
    return copy


def write_on(stack: Stack, plane: str) -> None:
    """Bring a plane's versions far beyond those of a backup, and of what a restored server writes of itself."""
    meta = {"name": COUNTER, "namespace": "default"}
    for number in range(_REVISIONS):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"n": str(number)}}  # fmt: skip
        stack.apply(plane, body)


def restore(stack: Stack, plane: str, copy: Path) -> None:
    """Put a backup in the place of what a plane's etcd holds: its versions go back too."""
    with _stopped(stack, plane) as data:
        shutil.rmtree(data)
        shutil.copytree(copy, data)


@contextmanager
def _stopped(stack: Stack, plane: str) -> Iterator[Path]:
    """End all programs of a plane, give the folder of its etcd, and wait until their successors answer."""
    folder = stack.running.folder / plane
    (folder / RESPAWN).touch()
    os.kill(stack.running.pid, signal.SIGSTOP)  # else it starts them again at once
    try:
        for pid in _programs(folder):
            os.kill(pid, signal.SIGKILL)
        yield folder / "etcd"
    finally:
        os.kill(stack.running.pid, signal.SIGCONT)
    wait_for(f"{plane} answers", lambda: answers(stack, plane), seconds=120)


def _programs(folder: Path) -> list[int]:
    """Return the process ids of a plane's programs: they run in its folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    assert found, f"nothing runs in {folder}"
    return found
