"""Operators and command lines forked from a process that has imported everything: a start costs a tenth of the imports.

`fork_operator` and `fork_script` start the zygote of their kind when they are first called. A zygote has one thread and no
event loop, so a fork of it is as good as a new interpreter; it ends with the process that started it, and its forks with
it. Each fork is a process of its own, with a pid to kill and an exit status.
"""

import array
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.planes.binaries import ROOT
from tests.planes.plane import die_with_parent

_KUBECONFIG: Final = "kubernetes.aio.config.kube_config"
_PRELOADED: Final = {  # kind -> what its forks find imported
    "operator": (
        "sublet.process", "uvloop", "alembic.command", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg",
        "tests.harness.killing", "tests.harness.shifting",
    ),
    # all but `main`, whose module would hide the program's entry point of that name, and `export`, whose library starts threads
    "script": (
        *(f"sublet.cli.{name}" for name in (
            "adjust", "approve", "asking", "book", "claim", "connect", "coverage", "explain", "extend", "following", "get",
            "keeping.commands", "kubeconfig", "ledger", "margin_command", "onboarding.commands", "quote", "release",
            "replay", "simulate", "statement", "top", "usage", "verify",
        )),
        "alembic.command", "sqlalchemy.dialects.sqlite", "typer.main", _KUBECONFIG,
    ),
}  # fmt: skip
_REQUEST_BYTES: Final = 1 << 20
_IMPORTED_SECONDS: Final = 120.0
"""So long a zygote may take until it forks for the first time: its imports are seconds of processor time."""
_LOCK = threading.Lock()


class Forked:
    """One process that a zygote forked; what `subprocess.Popen` says of a process, in the same words.

    Several threads may ask: one waits for an end while another looks whether it is there.
    """

    def __init__(self, status: socket.socket) -> None:
        self._status = status
        self._reading = threading.Lock()
        weakref.finalize(self, status.close)  # not sooner: another thread may wait for it
        self.pid = int(self._read(_IMPORTED_SECONDS))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, minus the signal if one ended it; None while it runs."""
        with self._reading:
            if self.returncode is None:
                with suppress(BlockingIOError):
                    self.returncode = int(self._read(0.0))
            return self.returncode

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for the end and return the exit status; TimeoutExpired if it doesn't come."""
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(f"process {self.pid}", seconds)
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                selector.select(left)
        assert self.returncode is not None
        return self.returncode

    def _read(self, seconds: float) -> str:
        self._status.settimeout(seconds)
        text = self._status.recv(64).decode()
        if not text:
            raise ProcessLookupError("the zygote ended; its forks ended with it")
        return text


@dataclass
class _Zygote:
    """A zygote of this process."""

    requests: socket.socket
    process: subprocess.Popen[bytes]


_RUNNING: dict[tuple[int, str], _Zygote] = {}  # pid of the process that started it, kind -> zygote


def warm_up() -> None:
    """Start the zygote now, from a thread that lives as long as it is needed: it ends with the thread that started it."""
    with _LOCK:
        _zygote("operator")


def fork_operator(module: str, environment: dict[str, str], log: Path) -> Forked:
    """Run `python -m module` in a fork, its output appended to a file."""
    with log.open("ab") as output:
        handles = (output.fileno(), output.fileno())
        return _fork("operator", {"module": module, "environment": environment}, handles)


def fork_script(
    script: Path, arguments: Sequence[str], environment: dict[str, str], said: Path, complained: Path
) -> Forked:  # fmt: skip
    """Run `python script arguments` in a fork, its output and what it says on standard error written to files."""
    request = {"script": str(script), "arguments": list(arguments), "environment": environment}
    with said.open("wb") as out, complained.open("wb") as err:
        return _fork("script", request, (out.fileno(), err.fileno()))


def _fork(kind: str, request: dict[str, Any], handles: tuple[int, int]) -> Forked:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _LOCK, theirs:
        passed = array.array("i", [*handles, theirs.fileno()])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)]
        _zygote(kind).requests.sendmsg([json.dumps(request).encode()], ancillary)
    return Forked(ours)


def _zygote(kind: str) -> _Zygote:
    found = _RUNNING.get((os.getpid(), kind))
    if found is not None and found.process.poll() is None:
        return found
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.zygote", kind, str(theirs.fileno())],
            cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,  # noqa: PLW1509  nothing here forks while another thread holds a lock it needs
        )  # fmt: skip
    _RUNNING[os.getpid(), kind] = _Zygote(ours, process)
    return _RUNNING[os.getpid(), kind]


def serve(kind: str, requests: socket.socket) -> None:
    """Import everything, then fork at each request until the other end closes."""
    for name in _PRELOADED[kind]:
        importlib.import_module(name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork needs a process of one thread"
    gc.collect()
    gc.freeze()
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    if not _take(requests, selector):
                        return
                else:
                    selector.unregister(key.fd)
                    _report(key.fd, *key.data)


def _take(requests: socket.socket, selector: selectors.BaseSelector) -> bool:
    """Fork once; return whether there was a request."""
    body, handles, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 3)
    if not body:
        return False
    *outputs, status_handle = handles
    status = socket.socket(fileno=status_handle)
    pid = os.fork()
    if pid == 0:
        _become(json.loads(body), outputs)
    for handle in outputs:
        os.close(handle)
    status.send(str(pid).encode())
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))
    return True


def _report(handle: int, pid: int, status: socket.socket) -> None:
    """Tell whoever asked for a process how it ended."""
    os.close(handle)
    _, code = os.waitpid(pid, 0)
    with status:
        try:
            status.send(str(os.waitstatus_to_exitcode(code)).encode())
        except OSError:  # nobody wants to know
            return


def _become(request: dict[str, Any], outputs: list[int]) -> None:
    """Run the module or the script as python does; never returns."""
    code = 1
    try:
        die_with_parent()
        for handle, output in enumerate(outputs, start=1):
            os.dup2(output, handle)
        os.closerange(3, 1024)
        os.environ.clear()
        os.environ.update(request["environment"])
        if "script" in request:
            sys.argv = [request["script"], *request["arguments"]]
            # it read the environment when it was imported
            library: Any = sys.modules[_KUBECONFIG]
            library.KUBE_CONFIG_DEFAULT_LOCATION = os.environ["KUBECONFIG"]
            runpy.run_path(request["script"], run_name="__main__")
        else:
            sys.argv = [request["module"]]
            runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  it would run on as a second zygote
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
