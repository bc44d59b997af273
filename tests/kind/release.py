"""The operator on the hub, as a platform team runs it: a release of the chart, its pods, who leads, and what it answers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.helm import CHART
from tests.harness.waiting import wait_for
from tests.kind.clusters import HUB, Clusters

NAMESPACE = "sublet-system"
_SUBLET = Path(sys.executable).parent / "sublet"
_LEASE = ("-n", NAMESPACE, "lease", "sublet")
_PODS = ("-n", NAMESPACE, "pods", "-l", "app.kubernetes.io/name=sublet")


@dataclass(frozen=True)
class Operator:
    """The release `sublet`, seen and spoken to from this machine."""

    clusters: Clusters

    def helm(self, verb: str, *arguments: str) -> str:
        """Run Helm on the release."""
        where = ("--namespace", NAMESPACE, "--kubeconfig", str(self.clusters.person))
        return self.clusters.tools.shell.run("helm", verb, "sublet", *arguments, *where, "--kube-context", HUB)  # fmt: skip

    def upgrade(self, *values: str) -> None:
        """Upgrade the release by some values, as the documentation says, and wait until the new pods are ready."""
        sets = [x for each in values for x in ("--set", each)]
        self.helm("upgrade", str(CHART), "--reset-then-reuse-values", *sets)
        self.rolled_out()

    def revision(self) -> int:
        """Return the release's revision that is deployed."""
        last = json.loads(self.helm("history", "--output", "json"))[-1]
        assert last["status"] == "deployed", last
        return int(last["revision"])

    def rolled_out(self) -> None:
        """Wait until the Deployment's pods are ready, and one leads that is among them."""
        rollout = ("rollout", "status", "deployment/sublet", "--timeout=180s")
        self.clusters.kubectl(HUB, "-n", NAMESPACE, *rollout)
        wait_for("a pod leads", lambda: self.leader() in self.pods())

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the operator's pods that are ready and stay: name -> pod."""
        found = self.clusters.get(HUB, *_PODS)["items"]
        return {
            pod["metadata"]["name"]: pod
            for pod in found
            if "deletionTimestamp" not in pod["metadata"]
            and all(c["ready"] for c in pod["status"].get("containerStatuses", [{"ready": False}]))
        }

    def leader(self) -> str:
        """Return the pod that holds the Lease, empty if nobody does."""
        holder = (self.clusters.get(HUB, *_LEASE) or {}).get("spec", {}).get("holderIdentity")
        return (holder or "").split("_")[0]

    def sublet(self, *arguments: str) -> str:
        """Run the command line as the platform team does."""
        kubeconfig = f"KUBECONFIG={self.clusters.person}"
        return self.clusters.tools.shell.run("env", kubeconfig, "COLUMNS=140", str(_SUBLET), *arguments)  # fmt: skip

    @contextmanager
    def admin(self) -> Iterator[str]:
        """Yield the URL of the leader's admin endpoint, through a port-forward of our own."""
        config = ("--kubeconfig", str(self.clusters.person), "--context", HUB)
        pod = ("port-forward", f"pod/{self.leader()}", ":8081")
        process = subprocess.Popen(
            ("kubectl", *config, "-n", NAMESPACE, *pod),
            env=self.clusters.tools.shell.environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Forwarding from 127.0.0.1:"), line
            yield f"http://127.0.0.1:{line.split(':')[1].split()[0]}"
        finally:
            process.terminate()
            process.wait()

    def usage(self, claim: dict[str, Any], until: str) -> int:
        """Return the GPU-milliseconds that a claim was bound until an instant, as `sublet usage` says it."""
        answer = json.loads(self.sublet("usage", "--to", until, "-o", "json"))
        uid = claim["metadata"]["uid"]
        return sum(int(i["gpuMilliseconds"]) for i in answer["items"] if (i["uid"], i["kind"]) == (uid, "bound"))  # fmt: skip

    def last_words(self) -> str:
        """Return how the operator's pods stand and what they said last, as far as that can be seen."""
        shell, config = self.clusters.tools.shell, str(self.clusters.person)
        kubectl = ("kubectl", "--kubeconfig", config, "--context", HUB, "-n", NAMESPACE)
        pods = shell.attempt(*kubectl, "get", "pods", "-o", "wide")
        logs = shell.attempt(*kubectl, "logs", *_PODS[-2:], "--tail=20", "--prefix")
        return pods.stdout + pods.stderr + logs.stdout + logs.stderr
