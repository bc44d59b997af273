"""A hub and two leased clusters in kind, side by side: one node each, a real kubelet and containerd.

Each is seen from two places. The person's kubeconfig leads to the API servers by ports of this machine. On docker's network,
where the operator's pod and the tenants are, a cluster is named after its node; what must speak from there runs in the hub's
node (`docker exec`) or in a container of its own.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.kind.shell import Begun, Missing, together
from tests.kind.tools import Tools

HUB, WEST, EAST = NAMES = ("hub", "west", "east")
_SECONDS = 900


@dataclass(frozen=True)
class Clusters:
    """The three, by name, in a folder of their own."""

    tools: Tools
    folder: Path

    def require_none(self) -> None:
        """Raise Missing if clusters of these names are there: they may be in use."""
        if there := self._there():
            raise Missing(f"{', '.join(there)}: there already, left by KEEP=1 or in use; this ends them: {self.removal()}")  # fmt: skip

    def create(self) -> None:
        """Make all three at once and wait for their DNS."""
        begun = [self._begin(number, name) for number, name in enumerate(NAMES)]
        together(begun, seconds=_SECONDS)
        self.person.write_text(yaml.safe_dump(self._merged()))
        self.person.chmod(0o600)
        inside = self.folder / "inside.kubeconfig"
        inside.write_text(yaml.safe_dump(self._merged("--internal")))
        for name in NAMES:
            rollout = ("rollout", "status", "deployment/coredns", "--timeout=180s")
            self.kubectl(name, "-n", "kube-system", *rollout)

    @property
    def person(self) -> Path:
        """Return the kubeconfig of somebody who is cluster-admin everywhere: contexts hub (current), west, east."""
        return self.folder / "person.kubeconfig"

    def node(self, name: str) -> str:
        """Return the name of a cluster's node, which is its container's, and its address on docker's network."""
        return f"{self.tools.prefix}{name}-control-plane"

    def kubectl(
        self, cluster: str, *arguments: str, given: str | None = None, seconds: float = 300
    ) -> str:
        """Run kubectl as a cluster's admin; AssertionError with its words if it fails."""
        config = ("--kubeconfig", str(self.person), "--context", cluster)
        return self.tools.shell.run("kubectl", *config, *arguments, given=given, seconds=seconds)

    def apply(self, cluster: str, *objects: Any) -> None:
        """Apply objects as a cluster's admin."""
        self.kubectl(cluster, "apply", "-f", "-", given=yaml.safe_dump_all(objects))

    def get(self, cluster: str, *arguments: str) -> Any:
        """Return what `kubectl get … -o json` shows, None if it isn't there."""
        text = self.kubectl(cluster, "get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def answers(self, cluster: str) -> bool:
        """Say whether a cluster's API server is ready."""
        config = ("--kubeconfig", str(self.person), "--context", cluster)
        return self.tools.shell.works("kubectl", *config, "get", "--raw", "/readyz", seconds=15)

    def load(self, image: str, *names: str) -> None:
        """Bring an image of this machine's docker into clusters, at once."""
        begun: list[Begun] = []
        for name in names:
            log = self.folder / f"load-{name}.log"
            command = (self.tools.kind, "load", "docker-image", image, "--name", f"{self.tools.prefix}{name}")  # fmt: skip
            begun.append(self.tools.shell.begin(*command, log=log))
        together(begun, seconds=_SECONDS)

    def restart(self, name: str) -> None:
        """Restart a cluster's node as a machine restarts."""
        self.tools.shell.run("docker", "restart", self.node(name))

    def delete(self) -> None:
        """Delete all that is there, and say so if something can't be deleted."""
        for name in self._there():
            self._delete(name)

    def removal(self) -> str:
        """Return the command that deletes them by hand."""
        names = [f"{self.tools.prefix}{name}" for name in NAMES]
        host = self.tools.shell.environment.get("DOCKER_HOST")
        before = f"DOCKER_HOST={host} " if host else ""
        return f"{before}{self.tools.kind} delete clusters {' '.join(names)}"

    def _delete(self, name: str) -> None:
        shell = self.tools.shell
        if not shell.works(self.tools.kind, "delete", "cluster", "--name", name, seconds=180):
            # on cgroup v1 a node may not stop at the first call
            shell.run("docker", "rm", "--force", "--volumes", f"{name}-control-plane")

    def _there(self) -> list[str]:
        listed = self.tools.shell.run(self.tools.kind, "get", "clusters").split()
        return [each for name in NAMES if (each := f"{self.tools.prefix}{name}") in listed]

    def _begin(self, number: int, name: str) -> Begun:
        config = self.folder / f"{name}.yaml"
        config.write_text(self._config(number))
        log = self.folder / f"create-{name}.log"
        command = [self.tools.kind, "create", "cluster", "--name", f"{self.tools.prefix}{name}"]
        command += ["--config", str(config), "--wait", "240s"]
        command += ["--kubeconfig", str(self.folder / f"{name}.kubeconfig")]
        command += ["--image", self.tools.node_image] if self.tools.node_image else []
        return self.tools.shell.begin(*command, log=log)

    def _config(self, number: int) -> str:
        """Return a cluster's configuration: somebody's own, with networks that no other of the three has."""
        own = self.tools.config.read_text() if self.tools.config else ""
        config = yaml.safe_load(own) or {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4"}
        network = {
            "podSubnet": f"10.{244 + number}.0.0/16",
            "serviceSubnet": f"10.{96 + number}.0.0/16",
        }
        return yaml.safe_dump({**config, "networking": {**config.get("networking", {}), **network}})

    def _merged(self, *options: str) -> dict[str, Any]:
        """Return one kubeconfig for all, with contexts named as people name clusters."""
        whole: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": HUB}
        for name in NAMES:
            cluster = ("--name", f"{self.tools.prefix}{name}")
            one = yaml.safe_load(self.tools.shell.run(self.tools.kind, "get", "kubeconfig", *cluster, *options))  # fmt: skip
            one["contexts"][0]["name"] = name
            for section in ("clusters", "users", "contexts"):
                whole[section] = [*whole.get(section, []), *one[section]]
        return whole
