"""The story on real kubelets, second part: what happens to the operator and to the nodes while a claim is bound, and the end.

Whatever becomes of the operator: the claim, its node's book and its pod's container stay as they are.
"""

import json
import re
from datetime import datetime
from typing import Any

from tests.builders.nodes import H100
from tests.harness.stack import condition
from tests.harness.waiting import wait_for
from tests.kind.attacks import LOGIN
from tests.kind.clusters import EAST, HUB, WEST
from tests.kind.gpus import offered, report
from tests.kind.images import DATABASE, OPERATOR
from tests.kind.release import NAMESPACE
from tests.kind.story import ACME, GLOBEX, HELD, Scene, now, works
from tests.kind.tenant import same_run, work_pod
from tests.planes.binaries import ROOT

_TRAIN = f"/apis/sublet.dev/v1alpha1/namespaces/{ACME}/gpuclaims/train"
_LABELS = {"app.kubernetes.io/name": "database"}
_URL = f"postgresql://sublet@database.{NAMESPACE}.svc/postgres"


def upgrade(scene: Scene) -> str:
    """Upgrade the release by a setting, and roll it back; the claim and its pod must not notice."""
    held, revision = scene.held(), scene.operator.revision()
    scene.operator.upgrade("settings.SUBLET_PROBE_SECONDS=5")
    assert _setting(scene) == "5"
    assert scene.operator.revision() == revision + 1
    assert scene.held() == held
    works(scene, "after-upgrade")
    scene.operator.helm("rollback")
    scene.operator.rolled_out()
    assert _setting(scene) is None
    assert scene.operator.revision() == revision + 2
    assert scene.held() == held
    works(scene, "after-rollback")
    return f"revisions {revision} to {revision + 2}; train bound all along, its container {held[2][2][13:25]} never restarted"  # fmt: skip


def to_postgresql(scene: Scene) -> str:
    """Move the ledger from SQLite to PostgreSQL as the documentation says; then two pods must be ready, and one lead."""
    held, clusters = scene.held(), scene.clusters
    lines = _ledger_lines(scene)
    clusters.apply(HUB, *_database())
    inside = ("-n", NAMESPACE)
    clusters.kubectl(HUB, *inside, "rollout", "status", "deployment/database", "--timeout=120s")
    clusters.kubectl(HUB, *inside, "scale", "deployment/sublet", "--replicas=0")
    clusters.kubectl(HUB, *inside, "apply", "-f", "-", given=_job())
    clusters.kubectl(HUB, *inside, "wait", "--for=condition=Complete", "job/move-ledger", "--timeout=120s")  # fmt: skip
    scene.operator.upgrade(
        "ledger.store=postgresql", "ledger.databaseUrlSecret.name=sublet-database"
    )
    pods = scene.operator.pods()
    assert len(pods) == 2, pods.keys()
    assert _ledger_lines(scene) >= lines
    assert scene.held() == held
    works(scene, "after-move")
    return f"{lines} lines moved; 2 pods are ready, {scene.operator.leader()} leads, the other stands by"  # fmt: skip


def kill_leader(scene: Scene) -> str:
    """Kill the leading pod as a node's death does; the other must lead, and nothing else change."""
    held, killed = scene.held(), scene.operator.leader()
    (standby,) = scene.operator.pods().keys() - {killed}
    kill = ("delete", "pod", killed, "--grace-period=0", "--force")
    scene.clusters.kubectl(HUB, "-n", NAMESPACE, *kill)
    wait_for("the standby leads", lambda: scene.operator.leader() == standby)
    assert scene.held() == held
    works(scene, "after-death")
    scene.operator.rolled_out()
    return f"{killed} was killed, {standby} leads; train's pod is at step {scene.train.step('work')}"  # fmt: skip


def restart_node(scene: Scene) -> str:
    """Restart the leased node, its API server with it: the claim stays bound, the meter runs, the pod comes back."""
    clusters, before = scene.clusters, scene.claim(scene.train)
    run = scene.held()[2]
    clusters.restart(WEST)
    wait_for("west answers", lambda: scene.claim(scene.train) and clusters.answers(WEST), seconds=120)  # fmt: skip
    fate = wait_for("the kubelet took the pod up again", lambda: _fate(scene, run), seconds=120)
    shown = offered(clusters, WEST)
    report(clusters, WEST, H100.gpus)
    for each in ("Reachable", "Ready"):
        said = ("wait", f"--for=condition={each}", "gpulease", WEST, "--timeout=120s")
        clusters.kubectl(HUB, *said)
    wait_for("train is well", lambda: condition(scene.claim(scene.train), "Degraded") != "True", seconds=120)  # fmt: skip
    _work_again(scene, fate)
    after, instant = scene.claim(scene.train), now()
    assert after["status"]["allocation"] == before["status"]["allocation"]
    assert scene.operator.usage(after, instant) == HELD * (_ms(instant) - _bound_ms(after))
    return f"train stayed bound and billed; the node showed {shown} GPUs when it was back; its pod: {fate}"  # fmt: skip


def verify(scene: Scene) -> str:
    """Let `sublet verify` look at hub, clusters and ledger; nothing may be wrong, and nothing unread."""
    clusters = ("--cluster", f"{WEST}={WEST}", "--cluster", f"{EAST}={EAST}")
    with scene.operator.admin() as url:
        said = scene.operator.sublet("verify", *clusters, "--admin", url)
    assert said.rstrip().endswith(": 0 violations, 0 unknown"), said
    return said.rstrip()


def release(scene: Scene) -> str:
    """Give both claims back: pods, namespaces and rights must be gone and the nodes free."""
    clusters, train = scene.clusters, scene.claim(scene.train)
    home = train["status"]["access"]["clusters"][0]["namespace"]
    assert clusters.get(WEST, "namespace", home) is not None
    deleted = json.loads(clusters.kubectl(HUB, "delete", "--raw", _TRAIN))
    ended = deleted["metadata"]["deletionTimestamp"]
    scene.expected[train["metadata"]["uid"]] = HELD * (_ms(ended) - _bound_ms(train))
    clusters.kubectl(HUB, "wait", "--for=delete", "gpuclaim/train", "-n", ACME, "--timeout=120s")
    assert clusters.kubectl(WEST, "get", "pods", "-n", home, "-o", "name") == ""
    finetune = (scene.finetune.claim, "-n", GLOBEX)
    scene.operator.sublet("release", *finetune, "--yes", "--wait", "120")
    node = clusters.node(WEST)
    running = clusters.tools.shell.run("docker", "exec", node, "crictl", "ps", "-q", "--name", "main")  # fmt: skip
    assert running == ""
    for name in (WEST, EAST):
        marks = clusters.get(name, "node", clusters.node(name))["metadata"]["annotations"]
        assert marks["sublet.dev/allocation"] == "", marks
    # the claim waits for its pods; the namespace controller is done with what is left in its own time
    wait_for("the namespace is gone", lambda: clusters.get(WEST, "namespace", home) is None, seconds=90)  # fmt: skip
    assert LOGIN in scene.train.refused("get", "pods")
    return scene.operator.sublet("top").rstrip()


def usage(scene: Scene) -> str:
    """Compare the bill with the claim's own times, to the millisecond, and let `sublet verify` look again."""
    answer = json.loads(scene.operator.sublet("usage", "-o", "json"))
    billed = {i["uid"]: int(i["gpuMilliseconds"]) for i in answer["items"] if i["kind"] == "bound"}
    for uid, expected in scene.expected.items():
        assert billed[uid] == expected, (uid, billed[uid], expected)
    return scene.operator.sublet("usage").rstrip() + "\n" + verify(scene)


def _setting(scene: Scene) -> str | None:
    (pod, *_) = scene.operator.pods().values()
    found = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
    return found.get("SUBLET_PROBE_SECONDS")


def _ledger_lines(scene: Scene) -> int:
    """Return how many lines the ledger has; they must prove themselves."""
    said = scene.operator.sublet("ledger", "verify")
    found = re.match(r"(\d+) lines and \d+ audit records are whole", said)
    assert found is not None, said
    return int(found[1])


def _fate(scene: Scene, run: tuple[str, int, str]) -> str:
    """Return what a kubelet that began anew made of the tenant's pod; empty while it hasn't looked at it."""
    pod = scene.train.pod("work")
    if pod["status"]["phase"] == "Failed":
        return "given up"
    uid, restarts, container = same_run(pod)
    return "restarted" if uid == run[0] and restarts > run[1] and container != run[2] else ""


def _work_again(scene: Scene, fate: str) -> None:
    """See that the tenant's work goes on; a pod that the kubelet gave up is made anew, as a controller would."""
    if fate == "given up":
        scene.train.kubectl("delete", "pod", "work")
        scene.train.kubectl("create", "-f", "-", given=work_pod("work", HELD))
    scene.train.kubectl("wait", "--for=condition=Ready", "pod/work", "--timeout=120s")
    at = scene.train.step("work")
    wait_for("the pod works on", lambda: scene.train.step("work") > at)


def _job() -> str:
    """Return the Job that moves the ledger, as docs/install.md shows it, with our image."""
    page = (ROOT / "docs" / "install.md").read_text()
    (text,) = re.findall(r"^```yaml\n(apiVersion: batch/v1\n.*?)^```", page, flags=re.MULTILINE | re.DOTALL)  # fmt: skip
    job, count = re.subn(r"image: \S+", f"image: {OPERATOR}", text)
    assert count == 1
    return str(job)


def _database() -> list[dict[str, Any]]:
    """Return a PostgreSQL on the hub and the Secret that says where it is."""
    meta = {"name": "database", "namespace": NAMESPACE}
    pod = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "postgresql",
                "image": DATABASE,
                "readinessProbe": {
                    "exec": {"command": ["pg_isready", "-h", "127.0.0.1"]},
                    "periodSeconds": 1,
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
    template = {"metadata": {"labels": _LABELS}, "spec": pod}
    spec = {"selector": {"matchLabels": _LABELS}, "template": template}
    ports = [{"port": 5432}]
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": _LABELS, "ports": ports}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {**meta, "name": "sublet-database"}, "stringData": {"url": _URL}},
    ]  # fmt: skip


def _bound_ms(claim: dict[str, Any]) -> int:
    return _ms(claim["status"]["allocation"]["boundTime"])


def _ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1_000)
