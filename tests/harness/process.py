"""The operator as its own process, with its own narrow rights, as it runs in a cluster."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from typing import Any

from tests.harness.stack import Stack, operator_kubeconfig
from tests.harness.zygote import Forked, fork_operator
from tests.planes.plane import die_with_parent


class OperatorProcess:
    """One operator; several may run side by side with databases of their own.

    `cold`: a new interpreter that has imported nothing, as in a container; else a fork of one that has.
    """

    def __init__(
        self,
        stack: Stack,
        name: str = "operator",
        *,
        module: str = "sublet",
        cold: bool = False,
        **settings: str,
    ) -> None:
        self.stack = stack
        self.log = stack.folder / f"{name}.log"
        self.database = f"sqlite:///{stack.folder}/{name}.sqlite"
        self._module = module
        self._cold = cold
        self._settings = settings
        self._process: Forked | subprocess.Popen[bytes] | None = None
        stack.at_stop(self.kill)

    def start(self, **extra: str) -> "OperatorProcess":
        """Start the process and wait until it is ready (or has ended)."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        settings = {
            "SUBLET_KUBECONFIG": str(operator_kubeconfig(self.stack)),
            "SUBLET_DATABASE_URL": self.database,
            "SUBLET_ALLOW_LOCAL_CLUSTERS": "true",
            "SUBLET_LISTEN_HOST": "127.0.0.1",
            "SUBLET_LISTEN_PORT": "0",
            "SUBLET_ADMIN_PORT": "0",
            "SUBLET_METRICS_AUTH": "false",
            "SUBLET_LOG_FORMAT": "json",
            "SUBLET_PROBE_SECONDS": "1",
            "SUBLET_GPU_SETTLE_SECONDS": "1",
            "SUBLET_LEASE_SECONDS": "3",
            **self._settings,
            **extra,
        }
        environment = {**os.environ, **settings}
        if self._cold:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self._module],
                    env=environment,
                    stdout=log,
                    stderr=log,
                    preexec_fn=die_with_parent,  # noqa: PLW1509  it calls the kernel alone
                )
        else:
            self._process = fork_operator(self._module, environment, self.log)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self._process.poll() is None:
            if b'"started"' in self.log.read_bytes()[begin:]:
                return self
            time.sleep(0.05)
        assert self._process.poll() is not None, f"not started:\n{self.tail()}"
        return self

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for the end and return the exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def ended(self) -> bool:
        """Say whether the process has ended."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """Kill it as a node failure would."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait()

    def terminate(self, seconds: float = 20.0) -> int:
        """Ask it to end and return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(seconds)

    def admin(self, path: str) -> Any:
        """Read JSON from the admin endpoint."""
        return json.loads(self._read("admin", path))

    def metrics(self) -> dict[str, float]:
        """Return the metrics: sample with labels -> value."""
        lines = self._read("public", "/metrics").decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def metrics_text(self) -> str:
        """Return /metrics as it is."""
        return self._read("public", "/metrics").decode()

    def port(self, listener: str) -> int:
        """Return the port that a listener got."""
        found = 0
        for line in self.log.read_text().splitlines():
            if line.startswith("{") and (entry := json.loads(line)).get("listener") == listener:
                found = int(entry["port"])
        return found

    def tail(self, lines: int = 20) -> str:
        """Return the log's last lines."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _read(self, listener: str, path: str) -> bytes:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port(listener)}{path}", timeout=10
        ) as answer:
            body: bytes = answer.read()
        return body


def kill_at_write(stack: Stack, number: int, when: str, **settings: str) -> OperatorProcess:
    """Start an operator that kills itself before or after its n-th write for claims (`tests.harness.killing`)."""
    operator = OperatorProcess(stack, "killed", module="tests.harness.killing")
    return operator.start(
        KILL_AT=str(number),
        KILL_WHEN=when,
        KILL_JOURNAL=str(stack.folder / "journal"),
        SUBLET_LEADER_ELECTION="false",
        **settings,
    )


def start_again(stack: Stack) -> OperatorProcess:
    """Start a sound operator on the ledger of the one that was killed."""
    return OperatorProcess(stack, "killed").start(SUBLET_LEADER_ELECTION="false")
