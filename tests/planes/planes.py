"""A set of planes under one folder, kept by one supervising process.

The supervisor owns the children and ends with its standard input: whoever started it may crash and nothing is left
behind. `up` on the command line starts one that stays until `down`.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.planes.binaries import ROOT, find_all
from tests.planes.plane import MEMORY, Plane, PlaneError

_BARE = "hub+bare"
SETS = ROOT / "build" / "planes"


@dataclass(frozen=True)
class RunningSet:
    """A set that is up: where its kubeconfigs are."""

    folder: Path
    names: tuple[str, ...]
    pid: int

    def kubeconfig(self, name: str) -> Path:
        """Return the admin kubeconfig of a plane."""
        return self.folder / f"{name}.kubeconfig"


def start(
    set_name: str,
    names: list[str],
    *,
    keep: bool,
    durable: bool = False,
    audited: str = "",
    memory: str = MEMORY,
) -> RunningSet:
    """Start planes in a supervisor of their own; with `keep` they outlive the caller.

    Every plane but one called `hub` has a scheduler and simulated kubelets; `hub+nodes` is a hub that has them too, and
    `hub+bare` one without our kinds.
    """
    find_all()
    command = [sys.executable, "-m", "tests.planes", "supervise", set_name, *names]
    command += ["--memory", memory]
    if durable:
        command.append("--durable")
    if audited:
        command += ["--audited", audited]
    log_path = _log_path(set_name)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
            stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
            env={**os.environ, "PLANES_KEEP": "1" if keep else ""},
        )  # fmt: skip
    deadline = time.monotonic() + 120
    while (found := running(set_name)) is None or found.pid != process.pid:
        if process.poll() is not None or time.monotonic() > deadline:
            raise PlaneError(f"the planes didn't come up:\n{last_words(set_name)}")
        time.sleep(0.1)
    _HELD.append(process)
    return found


_HELD: list[subprocess.Popen[bytes]] = []
"""Supervisors whose standard input we hold open: it closes when this process ends."""


def stop(set_name: str) -> bool:
    """Stop a set; return whether one was running."""
    found = running(set_name)
    if found is None:
        return False
    os.kill(found.pid, signal.SIGTERM)
    for process in [p for p in _HELD if p.pid == found.pid]:
        process.wait(20)
        if process.stdin is not None:
            process.stdin.close()
        _HELD.remove(process)
    deadline = time.monotonic() + 20
    while running(set_name) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return True


def running(set_name: str) -> RunningSet | None:
    """Return a set that is up, None if there is none."""
    folder = SETS / set_name
    try:
        state = json.loads((folder / "state.json").read_text())
        os.kill(state["pid"], 0)
    except (OSError, ValueError):
        return None
    return RunningSet(folder, tuple(state["names"]), state["pid"])


def last_words(set_name: str) -> str:
    """Return what a set's supervisor printed: which program ended, and its last lines."""
    return _log_path(set_name).read_text(errors="replace")


def _log_path(set_name: str) -> Path:
    return SETS / f"{set_name}.log"


def supervise(
    set_name: str, names: list[str], *, durable: bool, audited: str = "", memory: str = MEMORY
) -> None:
    """Start the planes, say so in state.json, and wait for a signal or for the end of standard input."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    folder = SETS / set_name
    if (other := running(set_name)) is not None:
        raise PlaneError(f"the set {set_name} is up already (pid {other.pid})")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plain = [name.partition("+")[0] for name in names]
    planes = [
        Plane(
            name,
            folder / name,
            nodes=asked not in ("hub", _BARE),
            kinds=asked != _BARE,
            durable=durable,
            audited=audited,
            memory=memory,
        )
        for name, asked in zip(plain, names, strict=True)
    ]
    try:
        for plane in planes:
            plane.begin()
        for plane in planes:
            plane.finish()
        state = json.dumps({"pid": os.getpid(), "names": plain})
        (folder / "state.json.new").write_text(state)
        (folder / "state.json.new").replace(folder / "state.json")
        _watch(planes)
    finally:
        (folder / "state.json").unlink(missing_ok=True)
        for plane in reversed(planes):
            plane.stop()
            shutil.rmtree(plane.folder / "etcd", ignore_errors=True)  # logs stay for whoever looks


def _watch(planes: list[Plane]) -> None:

    keep = bool(os.environ.get("PLANES_KEEP"))
    while True:
        for plane in planes:
            plane.check()
        if keep:
            time.sleep(1)
        elif select.select([sys.stdin], [], [], 1)[0] and not os.read(sys.stdin.fileno(), 1):
            return
