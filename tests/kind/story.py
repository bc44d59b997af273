"""The story on real kubelets, first part: from nothing to a tenant's pod at work, and what it may not do.

Each step does one thing, raises AssertionError if it doesn't hold, and returns what is shown.
"""

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml

from tests.builders.nodes import H100, H200, Hardware
from tests.harness.helm import CHART
from tests.harness.stack import condition
from tests.harness.waiting import wait_for
from tests.kind.attacks import attempts, read_from_the_hub
from tests.kind.clusters import EAST, HUB, WEST, Clusters
from tests.kind.gpus import fake_gpus
from tests.kind.images import DATABASE, OPERATOR
from tests.kind.release import NAMESPACE, Operator
from tests.kind.tenant import Tenant, same_run, work_pod
from tests.planes.binaries import ROOT

ACME, GLOBEX = "acme-research", "globex-ml"
HELD = 4
"""GPUs of the claim that the story follows; the node has eight, so that new claims fit beside it."""
_HARDWARE: dict[str, tuple[Hardware, str]] = {WEST: (H100, "es-mad-1"), EAST: (H200, "us-east-2")}


@dataclass(frozen=True)
class Scene:
    """Who is there."""

    clusters: Clusters
    operator: Operator
    train: Tenant
    finetune: Tenant
    expected: dict[str, int] = field(default_factory=dict)
    """What a claim must be billed in the end, in GPU-milliseconds."""

    def claim(self, tenant: Tenant) -> dict[str, Any]:
        """Return a tenant's claim; AssertionError if it isn't Bound."""
        found = self.clusters.get(HUB, "gpuclaim", "-n", tenant.namespace, tenant.claim)
        assert found is not None, f"{tenant.claim} is gone"
        assert condition(found, "Bound") == "True", found["status"]
        return dict(found)

    def held(self) -> tuple[Any, ...]:
        """Return what must stay as it is, whatever becomes of the operator: allocation, the node's book, the pod's run."""
        allocation = self.claim(self.train)["status"]["allocation"]
        node = self.clusters.get(WEST, "node", self.clusters.node(WEST))
        book = node["metadata"]["annotations"]["sublet.dev/allocation"]
        return allocation, book, same_run(self.train.pod("work"))


def scene(clusters: Clusters) -> Scene:
    """Return who will be there."""
    return Scene(
        clusters=clusters,
        operator=Operator(clusters),
        train=Tenant(clusters, ACME, "train"),
        finetune=Tenant(clusters, GLOBEX, "finetune"),
    )


def load(scene: Scene) -> str:
    """Bring the images to the nodes; the tenant's pod runs the database's, which has a Python, for want of a registry."""
    scene.clusters.load(OPERATOR, HUB)
    scene.clusters.load(DATABASE, HUB, WEST)
    return f"{OPERATOR} and {DATABASE} in the hub, {DATABASE} in west"


def install(scene: Scene) -> str:
    """Install the chart; one pod must be ready, by its probes, and lead."""
    image = ("--set", f"image.repository={OPERATOR.split(':')[0]}", "--set", f"image.tag={OPERATOR.split(':')[1]}")  # fmt: skip
    volume = ("--set", f"ledger.storageClassName={_volume(scene)}")
    scene.operator.helm("install", str(CHART), "--create-namespace", *image, *volume)
    level = "pod-security.kubernetes.io/enforce=restricted"
    scene.clusters.kubectl(HUB, "label", "namespace", NAMESPACE, level)
    scene.operator.rolled_out()
    ((name, pod),) = scene.operator.pods().items()
    (container,) = pod["spec"]["containers"]
    (status,) = pod["status"]["containerStatuses"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
    assert (status["started"], status["ready"], status["restartCount"]) == (True, True, 0), status
    assert scene.operator.leader() == name
    assert "audit records are whole" in scene.operator.sublet("ledger", "verify")
    return f"{name} is ready {_start_seconds(pod)} s after its container began; it leads; its probes answer"  # fmt: skip


def onboard(scene: Scene) -> str:
    """Make nodes with GPUs and onboard both clusters as the documentation says; both leases must sell."""
    for path in ("00-namespaces", "20-classes", "30-tenants"):
        scene.clusters.kubectl(HUB, "apply", "-f", str(ROOT / "examples" / f"{path}.yaml"))
    for name, (hardware, region) in _HARDWARE.items():
        fake_gpus(scene.clusters, name, hardware, region=region)
        said = _inside(scene, "onboard", "--context", name, "--name", name, "--hub-context", HUB)
        assert f"1 node of {hardware.product} (8 GPUs)" in said, said
        assert "isolation is live: the policies act" in said, said
        draft = said[said.index("apiVersion:") :].replace("EDIT-", "")
        scene.clusters.kubectl(HUB, "apply", "-f", "-", given=draft)
    ready = ("wait", "--for=condition=Ready", "gpulease", WEST, EAST, "--timeout=120s")
    scene.clusters.kubectl(HUB, *ready)
    return _inside(scene, "doctor").rstrip()


def claim(scene: Scene) -> str:
    """Ask for GPUs as tenants do; both claims must be bound."""
    ask = scene.operator.sublet
    h100 = ("--class", "h100", "--gpus", str(HELD), "--for", "14d", "--wait", "60")
    h200 = ("--class", "h200", "--gpus", "8", "--wait", "60")
    ask("claim", "train", "-n", ACME, *h100)
    ask("claim", "finetune", "-n", GLOBEX, *h200)
    scene.claim(scene.train)
    scene.claim(scene.finetune)
    return ask("top").rstrip()


def work(scene: Scene) -> str:
    """Let the tenant run a pod through its own kubeconfig: its container must really run on the claim's node."""
    tenant = scene.train
    tenant.take_access(scene.operator)
    tenant.kubectl("create", "-f", "-", given=work_pod("work", HELD))
    tenant.kubectl("wait", "--for=condition=Ready", "pod/work", "--timeout=120s")
    node = scene.clusters.node(WEST)
    (placed,) = scene.claim(tenant)["status"]["allocation"]["placements"]
    assert tenant.pod("work")["spec"]["nodeName"] == placed["node"] == node
    first = wait_for("the pod says where it is", lambda: tenant.kubectl("logs", "work"))
    assert f"step 0 on {node}" in first, first
    running = scene.clusters.tools.shell.run("docker", "exec", node, "crictl", "ps", "-o", "json", "--name", "main")  # fmt: skip
    (container,) = yaml.safe_load(running)["containers"]
    assert same_run(tenant.pod("work"))[2] == f"containerd://{container['id']}"
    return f"containerd on {node} runs {container['id'][:12]}; its log begins: {first.splitlines()[0]}"  # fmt: skip


def attack(scene: Scene) -> str:
    """Let the same tenant reach for what isn't its own; each try must be refused, and leave nothing."""
    lines = []
    for title, said, words in attempts(scene.train):
        assert words in said, f"{title}: {said}"
        reason = re.sub(r"^.*(denied request|is forbidden): |^error: ", "", said.splitlines()[-1])
        lines.append(f"{title}: {reason[:150]}")
    everything = scene.clusters.get(WEST, "pods", "-A")["items"]
    assert [p for p in everything if p["metadata"]["name"] == "evil"] == []
    (pod,) = scene.operator.pods().values()
    lines.append(
        f"the operator, from the hub: {read_from_the_hub(scene.train, pod['status']['podIP'])}"
    )
    return "\n".join(lines)


def works(scene: Scene, name: str) -> None:
    """See that the operator works: a new claim is bound and given back."""
    scene.operator.sublet("claim", name, "-n", ACME, "--class", "h100", "--gpus", "1", "--wait", "90")  # fmt: skip
    delete = ("delete", "gpuclaim", "-n", ACME, name, "--timeout=90s")
    scene.clusters.kubectl(HUB, *delete)


def now() -> str:
    """Return this instant as the API writes instants, to the second before."""
    return datetime.fromtimestamp(int(time.time()), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _inside(scene: Scene, *arguments: str) -> str:
    """Run the command line on docker's network, where clusters' names mean something, from the operator's image."""
    folder = f"{scene.clusters.folder}:/config:ro"
    container = ("--rm", "--network", "kind", "--user", "0", "--volume", folder)
    config = ("--env", "KUBECONFIG=/config/inside.kubeconfig", "--entrypoint", "sublet", OPERATOR)
    return scene.clusters.tools.shell.run("docker", "run", *container, *config, *arguments)


def _volume(scene: Scene) -> str:
    """Make a volume of the node's own disk for the ledger, and return its StorageClass.

    A class that comes with kind makes host paths, and whether the operator's user may write there is up to that class: the
    kubelet gives a `local` volume to the pod's fsGroup, as it does any volume of a real driver.
    """
    node, path = scene.clusters.node(HUB), "/var/local/sublet-ledger"
    scene.clusters.tools.shell.run("docker", "exec", node, "mkdir", "-p", path)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    scene.clusters.apply(
        HUB,
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "local"},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "sublet-ledger"},
            "spec": {
                "storageClassName": "local",
                "capacity": {"storage": "8Gi"},
                "accessModes": ["ReadWriteOncePod"],
                "local": {"path": path},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            },
        },
    )
    return "local"


def _start_seconds(pod: dict[str, Any]) -> int:
    """Return how long a pod's container took to be ready, in whole seconds as the API counts."""
    (status,) = pod["status"]["containerStatuses"]
    (ready,) = (c for c in pod["status"]["conditions"] if c["type"] == "Ready")
    begun = datetime.fromisoformat(status["state"]["running"]["startedAt"])
    return int((datetime.fromisoformat(ready["lastTransitionTime"]) - begun).total_seconds())
