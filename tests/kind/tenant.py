"""A tenant with the kubeconfig that was handed over: speaks to the leased cluster from docker's network, and runs pods there."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.kind.clusters import HUB, Clusters
from tests.kind.images import DATABASE
from tests.kind.release import Operator

Pod = dict[str, Any]
_WORK = """
import os, time
for step in range(10**9):
    print("step", step, "on", os.environ["NODE"], flush=True)
    time.sleep(0.5)
"""


@dataclass(frozen=True)
class Tenant:
    """Somebody with a claim, who knows nothing of Sublet but the command that fetches the kubeconfig."""

    clusters: Clusters
    namespace: str
    claim: str

    def take_access(self, operator: Operator) -> None:
        """Fetch the claim's kubeconfig and bring it to where the leased cluster's address means something."""
        operator.sublet("kubeconfig", self.claim, "-n", self.namespace, "--into", str(self.config))
        node = self.clusters.node(HUB)
        self.clusters.tools.shell.run("docker", "cp", str(self.config), f"{node}:{self._inside}")

    @property
    def config(self) -> Path:
        """Return the kubeconfig on this machine."""
        return self.clusters.folder / f"{self.claim}.kubeconfig"

    @property
    def token(self) -> str:
        """Return the token that was handed over."""
        users = yaml.safe_load(self.config.read_text())["users"]
        return str(users[0]["user"]["token"])

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl as the tenant; AssertionError with its words if it fails."""
        return self.clusters.tools.shell.run(*self._command(), *arguments, given=given)

    def refused(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl as the tenant for what must fail, and return the server's words."""
        done = self.clusters.tools.shell.attempt(*self._command(), *arguments, given=given)
        assert done.returncode != 0, f"not refused: {arguments} {given}\n{done.stdout}"
        return done.stderr.strip()

    def pod(self, name: str) -> Pod:
        """Return a pod as the tenant sees it."""
        found: Pod = json.loads(self.kubectl("get", "pod", name, "-o", "json"))
        return found

    def step(self, name: str) -> int:
        """Return how far a pod's work is, as its log says."""
        return int(self.kubectl("logs", name, "--tail=1").split()[1])

    def _command(self) -> tuple[str, ...]:
        node = self.clusters.node(HUB)
        return ("docker", "exec", "-i", node, "kubectl", "--kubeconfig", self._inside)

    @property
    def _inside(self) -> str:
        return f"/root/{self.claim}.kubeconfig"


def work_pod(name: str, gpus: int, **spec: Any) -> str:
    """Return a pod that works for ever, as YAML, as somebody writes it who knows nothing of Sublet.

    Its image is one with a Python that is at hand where no registry is.
    """
    container = {
        "name": "main",
        "image": DATABASE,
        "command": ["python", "-u", "-c", _WORK],
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
        **spec.pop("container", {}),
    }
    body = {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    meta = {"name": name}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body})


def hub_pod(tenant: Tenant, name: str, *command: str) -> str:
    """Run a command in a pod of the tenant's namespace on the hub to its end, and return what it printed."""
    kubectl, where = tenant.clusters.kubectl, ("-n", tenant.namespace)
    container = {"name": "main", "image": DATABASE, "command": list(command)}
    body = {"containers": [container], "restartPolicy": "Never"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}
    kubectl(HUB, *where, "create", "-f", "-", given=yaml.safe_dump(pod))
    kubectl(HUB, *where, "wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=120s")  # fmt: skip
    said = kubectl(HUB, *where, "logs", name)
    kubectl(HUB, *where, "delete", "pod", name)
    return said


def same_run(pod: Pod) -> tuple[str, int, str]:
    """Return what changes if a pod is made anew, or its container is restarted: UID, restarts, container."""
    (status,) = pod["status"]["containerStatuses"]
    return pod["metadata"]["uid"], int(status["restartCount"]), str(status["containerID"])
