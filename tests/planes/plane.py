"""One control plane: its processes, its files, its kubeconfig. Every child dies with the process that began it."""

import base64
import ctypes
import os
import secrets
import signal
import ssl
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.planes import quiet
from tests.planes.binaries import ROOT, find
from tests.planes.certificates import write_certificates
from tests.planes.ports import take_ports

_READY_SECONDS = 180
_GRACE_SECONDS = 2_400
"""So long may a simulated node be silent: its kubelet's word comes every ten minutes, as thousands must not use the cores up."""
_GO = {"GOMAXPROCS": "2", "GOGC": "800"}
"""Fewer garbage collections, which else use a fifth of the cores."""
MEMORY = "1GiB"
"""What a program's heap may grow to before it collects more often (GOMEMLIMIT): several sets fit a small machine."""
STORE = "etcd.url"
"""A file of this name in a plane's folder says where its etcd listens."""
RESPAWN = "respawn"
"""A file of this name in a plane's folder: what dies there is started again."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class PlaneError(Exception):
    """A plane didn't come up or died; the message has its log's last lines."""


@dataclass
class Plane:
    """etcd, kube-apiserver and controllers under one folder; `nodes` adds scheduler and simulated kubelets."""

    name: str
    folder: Path
    nodes: bool
    kinds: bool = True
    """A hub has our kinds from the beginning."""
    durable: bool = False
    """etcd syncs to disk, as fault tests need it."""
    audited: str = ""
    """User names, joined by commas, whose every request the API server writes into audit.log."""
    memory: str = MEMORY
    port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(
        default_factory=dict
    )  # program -> process
    arguments: dict[str, list[str]] = field(default_factory=dict)  # program -> what it was given

    def begin(self) -> None:
        """Start etcd and the API server; `finish` waits for it and starts the rest."""
        self.folder.mkdir(parents=True)
        write_certificates(self.folder)
        token = secrets.token_hex(16)
        (self.folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
        etcd_port, peer_port, self.port = take_ports(3)
        self._write_kubeconfig(token)
        etcd = f"http://127.0.0.1:{etcd_port}"
        peer = f"http://127.0.0.1:{peer_port}"
        (self.folder / STORE).write_text(etcd)
        self._start("etcd", [
            f"--data-dir={self.folder}/etcd", f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--log-level=warn", *quiet.ETCD, *([] if self.durable else ["--unsafe-no-fsync"]),
        ])  # fmt: skip
        self._start("kube-apiserver", [
            f"--etcd-servers={etcd}", f"--secure-port={self.port}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
            f"--tls-cert-file={self.folder}/server.crt", f"--tls-private-key-file={self.folder}/server.key",
            f"--cert-dir={self.folder}/self", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder}/sa.key", f"--service-account-signing-key-file={self.folder}/sa.key",
            "--service-cluster-ip-range=10.96.0.0/16", f"--token-auth-file={self.folder}/tokens.csv",
            "--authorization-mode=Node,RBAC", "--allow-privileged", "--enable-priority-and-fairness=false",
            "--max-requests-inflight=0", "--max-mutating-requests-inflight=0", *quiet.API_SERVER, *self._audit_flags(),
        ])  # fmt: skip

    def finish(self) -> None:
        """Wait until the API server is ready, then start the controllers."""
        self._wait_ready()
        if self.name == "hub" and self.kinds:
            self._install_kinds()
        common = [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false"]
        self._start("kube-controller-manager", [
            *common, quiet.CONTROLLERS, "--use-service-account-credentials",
            f"--node-monitor-grace-period={_GRACE_SECONDS}s", f"--node-startup-grace-period={_GRACE_SECONDS}s",
            f"--service-account-private-key-file={self.folder}/sa.key", f"--root-ca-file={self.folder}/ca.crt",
            "--bind-address=127.0.0.1", f"--secure-port={take_ports(1)[0]}", f"--cert-dir={self.folder}/self-cm",
            f"--authentication-kubeconfig={self.kubeconfig}", f"--authorization-kubeconfig={self.kubeconfig}",
        ])  # fmt: skip
        if self.nodes:
            self._start("kube-scheduler", [
                *common, "--bind-address=127.0.0.1", f"--secure-port={take_ports(1)[0]}", f"--cert-dir={self.folder}/self-s",
                f"--authentication-kubeconfig={self.kubeconfig}", f"--authorization-kubeconfig={self.kubeconfig}",
            ])  # fmt: skip
            stages = [find(f"stage-{name}.yaml") for name in ("node", "heartbeat", "pod")]
            # without Leases: it would take that of an earlier node of the same name for a new one's, and then starts no pods there
            self._start("kwok", [
                f"--kubeconfig={self.kubeconfig}", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
                *(f"--config={stage}" for stage in stages), "--node-lease-duration-seconds=0",
            ])  # fmt: skip

    @property
    def kubeconfig(self) -> Path:
        """Return the path of the admin's kubeconfig."""
        return self.folder.parent / f"{self.name}.kubeconfig"

    @property
    def server(self) -> str:
        """Return the API server's URL."""
        return f"https://127.0.0.1:{self.port}"

    def check(self) -> None:
        """Raise PlaneError if a process has died; one that a test kills on purpose is started again."""
        for program, process in list(self.processes.items()):
            if process.poll() is not None:
                if (self.folder / RESPAWN).exists():
                    self._start(program, self.arguments[program])
                    continue
                raise PlaneError(
                    f"{self.name}: {program} ended with {process.returncode}:\n{self._tail(program)}"
                )

    def stop(self) -> None:
        """Kill all processes: nothing of a plane is used again, so nothing needs to end in order."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def _audit_flags(self) -> list[str]:
        if not self.audited:
            return []
        policy = {
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": self.audited.split(",")}, {"level": "None"}],
        }  # fmt: skip
        (self.folder / "audit-policy.yaml").write_text(yaml.safe_dump(policy))
        return [
            f"--audit-policy-file={self.folder}/audit-policy.yaml",
            f"--audit-log-path={self.folder}/audit.log",
        ]

    def _install_kinds(self) -> None:
        """Install our kinds before the controllers start: the garbage collector learns later ones after half a minute only."""
        established = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=90s")
        deadline = time.monotonic() + _READY_SECONDS
        self._kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        while True:
            try:
                return self._kubectl(*established)
            except PlaneError:
                # of a kind that has no conditions yet, `kubectl wait` says an error instead of waiting
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _kubectl(self, *arguments: str) -> None:
        kubectl = (str(find("kubectl")), f"--kubeconfig={self.kubeconfig}")
        done = subprocess.run([*kubectl, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PlaneError(f"{self.name}: kubectl {arguments[0]}: {done.stderr}")

    def _start(self, program: str, arguments: list[str]) -> None:
        self.arguments[program] = arguments
        with (self.folder / f"{program}.log").open("ab") as log:
            self.processes[program] = subprocess.Popen(
                [str(find(program)), *arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,  # noqa: PLW1509  the supervisor has one thread
                cwd=self.folder, env={**os.environ, "HOME": str(self.folder), **_GO, "GOMEMLIMIT": self.memory},
            )  # fmt: skip

    def _wait_ready(self) -> None:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        config = yaml.safe_load(self.kubeconfig.read_text())
        request = urllib.request.Request(f"{self.server}/readyz")
        request.add_header("Authorization", f"Bearer {config['users'][0]['user']['token']}")
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            self.check()
            try:
                with urllib.request.urlopen(request, context=context, timeout=2):
                    return
            except OSError as error:
                if time.monotonic() > deadline:
                    tail = self._tail("kube-apiserver")
                    raise PlaneError(f"{self.name}: not ready ({error}):\n{tail}") from error
            time.sleep(0.1)

    def _tail(self, program: str, lines: int = 15) -> str:
        text = (self.folder / f"{program}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _write_kubeconfig(self, token: str) -> None:
        ca = base64.b64encode((self.folder / "ca.crt").read_bytes()).decode()
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": {"server": self.server, "certificate-authority-data": ca}}],
            "users": [{"name": self.name, "user": {"token": token}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
        }  # fmt: skip
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(config))


def die_with_parent() -> None:
    """Runs in the child: the kernel ends it when its parent ends, however that happens."""
    os.setpgrp()
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
