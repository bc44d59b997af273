"""Bound claims that come to other nodes, on real control planes under a clock that is moved."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sublet.api.times import Millis, format_instant
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.hours import Hours
from tests.harness.kubelet import HandKubelet
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.tenants import pod, write_access
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
HOUR = 3_600
SICK = "nvidia.com/gpu-xid-error"


@pytest.fixture
def hours(stack: Stack) -> Hours:
    return Hours(stack)


@pytest.fixture
def operator(stack: Stack, hours: Hours) -> Iterator[OperatorProcess]:
    end = Millis(int((time.time() // 60 * 60 + 40 * HOUR) * 1_000))
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"w-{i}") for i in range(3)))
    stack.apply("east", *(gpu_node(f"e-{i}") for i in range(3)))
    stack.apply(
        "hub",
        lease("west", committed=16, end=format_instant(end)),
        lease("east", committed=24),
        gpu_class(moveLeadSeconds=24 * HOUR),
        tenant(),
    )
    running = hours.operator(SUBLET_DRIFT_SECONDS="1").start()
    for name, free in (("west", 16), ("east", 24)):
        wait_for(f"{name} sells", lambda n=name, f=free: _free(stack, n) == f)
    yield running
    stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, "--all", "--timeout=90s")
    running.kill()


@pytest.fixture
def resting(operator: OperatorProcess, stack: Stack) -> Iterator[OperatorProcess]:
    """Have the west's nodes rest for an hour, but not after the test."""
    for seconds in (HOUR, 0):
        text = f'{{"spec": {{"term": {{"quarantineSeconds": {seconds}}}}}}}'
        stack.kubectl("hub", "patch", "gpulease", "west", "--type=merge", "-p", text)
        if seconds:
            yield operator


def _free(stack: Stack, name: str) -> int | None:
    counts: dict[str, int] = stack.get("hub", "gpulease", name)["status"].get("inventory", {})
    return counts.get("free")


def _bind(stack: Stack, name: str, **spec: Any) -> dict[str, Any]:
    stack.apply("hub", claim(name, ACME, **spec))
    return wait_for(f"{name} bound", lambda: stack.is_bound(ACME, name))


def _contexts(stack: Stack, name: str) -> dict[str, str]:
    """Return context -> namespace of a claim's kubeconfig."""
    secret = stack.get("hub", "secret", "-n", ACME, f"{name}-kubeconfig")
    config = yaml.safe_load(base64.b64decode(secret["data"]["value"]))
    return {c["name"]: c["context"]["namespace"] for c in config["contexts"]}


def _status(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (stack.claim(ACME, name) or {}).get("status", {})
    return found


def _sequence(stack: Stack, name: str) -> int:
    return int(_status(stack, name)["allocation"]["sequence"])


def _nodes(stack: Stack, name: str) -> list[str]:
    return sorted(p["node"] for p in _status(stack, name)["allocation"]["placements"])


def _news(stack: Stack, uid: str) -> list[str]:
    found = stack.get("hub", "events", "-n", ACME)["items"]
    return [e["reason"] for e in found if e["involvedObject"].get("uid") == uid]


def _lines(operator: OperatorProcess, uid: str) -> list[tuple[str, str, int, int]]:
    """Return (kind, type, reservation, GPUs) of a claim's lines."""
    found = [f for f in facts_in(operator.database) if f.claim_uid == uid]
    return [(f.kind.value, f.type.value, f.sequence, f.gpus) for f in found]


def test_a_claim_whose_lease_ends_is_moved_before_that_with_both_nodes_at_hand_meanwhile(
    operator: OperatorProcess, stack: Stack, hours: Hours, tmp_path: Path
):
    bound = _bind(stack, "stays", gpus=16)
    uid = bound["metadata"]["uid"]
    assert bound["status"]["allocation"]["untilCause"] == "LeaseEnded"
    west = {p["lease"] for p in bound["status"]["allocation"]["placements"]}
    assert west == {"west"}

    hours.move(17)
    wait_for(
        "other nodes are ready", lambda: _status(stack, "stays").get("move", {}).get("readyTime")
    )

    claimed = stack.claim(ACME, "stays") or {}
    assert condition(claimed, "Bound") == "True"
    assert condition(claimed, "Ready", "reason") == "Moving"
    assert condition(claimed, "Reconciling") == "True"
    assert _contexts(stack, "stays") == {"west": f"sublet-{uid}-1", "east": f"sublet-{uid}-2"}
    config = write_access(stack, claimed, tmp_path / "both")
    for context in ("west", "east"):
        stack.kubectl_with(config, "--context", context, "apply", "-f", "-", given=pod("work", 8))
    wait_for(
        "told",
        lambda: condition(stack.claim(ACME, "stays") or {}, "Expiring", "reason") == "Moving",
    )

    operator.kill()
    operator.start()
    hours.move(30)
    stays("it has both", lambda: _sequence(stack, "stays") == 1, seconds=2)
    hours.move(39.99)
    hours.move(40.1)
    wait_for("moved", lambda: _sequence(stack, "stays") == 2)
    wait_for("west is left", lambda: not _status(stack, "stays").get("leaving"))

    after = stack.claim(ACME, "stays") or {}
    assert condition(after, "Ready", "reason") == "Bound"
    assert set(stack.books("west").values()) <= {"", "-"}
    assert stack.claim_namespaces("west") == []
    assert stack.claim_namespaces("east") == [f"sublet-{uid}-2"]
    wait_for("one context", lambda: _contexts(stack, "stays") == {"east": f"sublet-{uid}-2"})
    assert _lines(operator, uid) == [
        ("bound", "open", 1, 16),
        ("bound", "close", 1, 16),
        ("releasing", "open", 1, 16),
        ("bound", "open", 2, 16),
        ("releasing", "close", 1, 16),
    ]
    facts = [f for f in facts_in(operator.database) if f.claim_uid == uid and f.kind == "bound"]
    until = bound["status"]["allocation"]["untilTime"]
    assert [format_instant(f.at_ms) for f in facts[1:]] == [until, until]


def test_a_claim_comes_to_no_node_that_was_lost_while_it_was_ready_for_it(
    operator: OperatorProcess, stack: Stack, hours: Hours
):
    bound = _bind(stack, "stays", gpus=8)
    uid = bound["metadata"]["uid"]
    assert [p["lease"] for p in bound["status"]["allocation"]["placements"]] == ["west"]
    hours.move(17)
    wait_for("ready", lambda: _status(stack, "stays").get("move", {}).get("readyTime"))
    (lost,) = (p["node"] for p in _status(stack, "stays")["move"]["placements"])

    stack.kubectl("east", "delete", "node", lost)
    wait_for(
        "told",
        lambda: lost in (condition(stack.claim(ACME, "stays") or {}, "Degraded", "message") or ""),
    )
    stays("it waits", lambda: _status(stack, "stays")["move"]["sequence"] == 2, seconds=2)
    hours.move(17.1)

    def is_ready_again() -> bool:
        move = _status(stack, "stays").get("move", {})
        return move.get("sequence") == 3 and bool(move.get("readyTime"))

    wait_for("others are ready", is_ready_again)
    (other,) = (p["node"] for p in _status(stack, "stays")["move"]["placements"])
    assert other != lost
    wait_for("the lost one is left", lambda: not _status(stack, "stays").get("leaving"))
    assert _contexts(stack, "stays") == {"west": f"sublet-{uid}-1", "east": f"sublet-{uid}-3"}
    assert stack.claim_namespaces("east") == [f"sublet-{uid}-3"]
    wait_for("well", lambda: condition(stack.claim(ACME, "stays") or {}, "Degraded") != "True")

    hours.move(40.1)
    wait_for("moved", lambda: _sequence(stack, "stays") == 3)
    wait_for("west is left", lambda: not _status(stack, "stays").get("leaving"))
    assert _nodes(stack, "stays") == [other]
    billed = [line for line in _lines(operator, uid) if line[0] == "bound"]
    assert billed == [("bound", "open", 1, 8), ("bound", "close", 1, 8), ("bound", "open", 3, 8)]


def test_a_node_that_stays_sick_is_replaced_in_the_same_namespace_and_nothing_else_is_touched(
    operator: OperatorProcess, stack: Stack, hours: Hours, tmp_path: Path
):
    bound = _bind(
        stack, "trains", gpus=16, replacement="OnFailure", placement={"leases": {"allow": ["west"]}}
    )
    uid = bound["metadata"]["uid"]
    sick, well = _nodes(stack, "trains")
    config = write_access(stack, bound, tmp_path / "kubeconfig")
    for name, node in (("on-sick", sick), ("on-well", well)):
        text = pod(name, 8, nodeSelector={"kubernetes.io/hostname": node})
        stack.kubectl_with(config, "apply", "-f", "-", given=text)
        stack.kubectl_with(config, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")

    stack.kubectl("west", "taint", "nodes", sick, f"{SICK}=yes:NoSchedule")
    wait_for(
        "told",
        lambda: condition(stack.claim(ACME, "trains") or {}, "Degraded", "reason") == "NodeFailed",
    )
    stays("it waits", lambda: _sequence(stack, "trains") == 1, seconds=2)
    hours.move(0.1)
    wait_for("replaced", lambda: _sequence(stack, "trains") == 2)
    wait_for("the sick one is left", lambda: not _status(stack, "trains").get("leaving"))

    fresh = next(n for n in _nodes(stack, "trains") if n != well)
    assert fresh != sick
    books = stack.books("west")
    assert (books[sick], books[well], books[fresh]) == ("", f"{uid}=8", f"{uid}=8")
    assert stack.claim_namespaces("west") == [f"sublet-{uid}-1"]
    left = stack.kubectl_with(config, "get", "pods", "-o", "name").split()
    assert left == ["pod/on-well"]
    stack.kubectl_with(config, "apply", "-f", "-", given=pod("again", 8))
    stack.kubectl_with(config, "wait", "--for=condition=Ready", "pod/again", "--timeout=90s")
    assert fresh in stack.kubectl_with(config, "get", "pod", "again", "-o", "wide")
    assert condition(stack.claim(ACME, "trains") or {}, "Ready") == "True"
    taints = stack.get("west", "node", sick)["spec"]["taints"]
    assert sorted(t["key"] for t in taints) == [SICK, "sublet.dev/pool"]
    assert _lines(operator, uid) == [
        ("bound", "open", 1, 16),
        ("bound", "close", 1, 16),
        ("releasing", "open", 1, 8),
        ("bound", "open", 2, 16),
        ("releasing", "close", 1, 8),
    ]
    stack.kubectl("west", "taint", "nodes", sick, f"{SICK}-")


def test_whoever_stays_on_a_node_starts_pods_there_while_the_part_that_another_left_rests(
    resting: OperatorProcess, stack: Stack, hours: Hours, tmp_path: Path
):
    part = {"gpus": 4, "placement": {"leases": {"allow": ["west"]}}}
    goes, mine = _bind(stack, "goes", replacement="OnFailure", **part), _bind(stack, "mine", **part)
    (node,) = _nodes(stack, "goes")
    assert _nodes(stack, "mine") == [node]
    stack.kubectl("west", "taint", "nodes", node, f"{SICK}=yes:NoSchedule")
    wait_for(
        "told",
        lambda: condition(stack.claim(ACME, "goes") or {}, "Degraded", "reason") == "NodeFailed",
    )
    hours.move(0.1)
    wait_for("replaced", lambda: _sequence(stack, "goes") == 2)
    stack.kubectl("west", "taint", "nodes", node, f"{SICK}-")
    wait_for("it rests", lambda: _status(stack, "goes")["leaving"][0].get("vacatedTime"))

    for name, each in (("mine", mine), ("goes", goes)):
        config = write_access(stack, each, tmp_path / name)
        text = pod(name, 4, nodeSelector={"kubernetes.io/hostname": node})
        stack.kubectl_with(config, "apply", "-f", "-", given=text)
    config = tmp_path / "mine"
    stack.kubectl_with(config, "wait", "--for=condition=Ready", "pod/mine", "--timeout=90s")
    back = ("pod", "goes", "-n", f"sublet-{goes['metadata']['uid']}-1")
    stays("not back", lambda: "nodeName" not in stack.get("west", *back)["spec"], seconds=3)
    assert stack.books("west")[node].count("=4") == 2

    hours.move(1.1)
    wait_for("its part is free", lambda: not _status(stack, "goes").get("leaving"))
    assert stack.books("west")[node] == f"{mine['metadata']['uid']}=4"


def test_a_claim_is_kept_as_it_should_be_while_pods_of_the_node_that_it_left_do_not_end(
    operator: OperatorProcess, stack: Stack, hours: Hours, tmp_path: Path
):
    others = [f"e-{i}" for i in range(3)]
    stack.kubectl("east", "cordon", *others)
    HandKubelet(stack, "east").join("unheard")  # nobody there ends a pod
    bound = _bind(
        stack, "trains", replacement="OnFailure", placement={"leases": {"allow": ["east"]}}
    )
    stack.kubectl("east", "uncordon", *others)
    uid, (sick,) = bound["metadata"]["uid"], _nodes(stack, "trains")
    config = write_access(stack, bound, tmp_path / "kubeconfig")
    stack.kubectl_with(config, "apply", "-f", "-", given=pod("work", 8))
    path = ("pod", "work", "-n", f"sublet-{uid}-1")
    wait_for("it has the node", lambda: stack.get("east", *path)["spec"].get("nodeName") == sick)
    stack.kubectl("east", "taint", "nodes", sick, f"{SICK}=yes:NoSchedule")
    wait_for(
        "told",
        lambda: condition(stack.claim(ACME, "trains") or {}, "Degraded", "reason") == "NodeFailed",
    )
    hours.move(0.1)
    wait_for("replaced", lambda: _sequence(stack, "trains") == 2)

    hours.move(0.2)
    wait_for("its old node is said to hang", lambda: "ReleaseOverdue" in _news(stack, uid))
    stack.kubectl("hub", "delete", "secret", "-n", ACME, "trains-kubeconfig")
    wait_for("access is back", lambda: "AccessRenewed" in _news(stack, uid), seconds=120)
    assert _contexts(stack, "trains") == {"east": f"sublet-{uid}-1"}
    assert [x["sequence"] for x in _status(stack, "trains")["leaving"]] == [1]

    stack.kubectl("east", "delete", *path, "--force", "--grace-period=0")
    wait_for("left", lambda: not _status(stack, "trains").get("leaving"), seconds=120)
    stack.kubectl("east", "delete", "node", sick)


def test_a_pod_that_waits_for_what_depends_on_it_keeps_no_node_that_its_claim_leaves(
    operator: OperatorProcess, stack: Stack, hours: Hours, tmp_path: Path
):
    bound = _bind(
        stack, "trains", replacement="OnFailure", placement={"leases": {"allow": ["west"]}}
    )
    (sick,) = _nodes(stack, "trains")
    config = write_access(stack, bound, tmp_path / "kubeconfig")
    stack.kubectl_with(config, "apply", "-f", "-", given=pod("work", 8))
    stack.kubectl_with(config, "wait", "--for=condition=Ready", "pod/work", "--timeout=90s")
    uid = stack.kubectl_with(config, "get", "pod", "work", "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "work", "uid": uid, "blockOwnerDeletion": True}  # fmt: skip
    meta = {"name": "never", "finalizers": ["mine.dev/hold"], "ownerReferences": [owner]}
    never = yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    stack.kubectl_with(config, "create", "-f", "-", given=never)
    stack.kubectl_with(config, "delete", "pod", "work", "--cascade=foreground", "--wait=false")
    ended = ("get", "pod", "work", "-o", "jsonpath={.metadata.deletionGracePeriodSeconds} {.metadata.finalizers}")  # fmt: skip
    waiting = '0 ["foregroundDeletion"]'
    wait_for("it waits", lambda: stack.kubectl_with(config, *ended) == waiting)

    stack.kubectl("west", "taint", "nodes", sick, f"{SICK}=yes:NoSchedule")
    wait_for(
        "told",
        lambda: condition(stack.claim(ACME, "trains") or {}, "Degraded", "reason") == "NodeFailed",
    )
    hours.move(0.1)
    wait_for("replaced", lambda: _sequence(stack, "trains") == 2)

    wait_for("left", lambda: not _status(stack, "trains").get("leaving"), seconds=60)
    assert stack.books("west")[sick] == ""
    stack.kubectl("west", "taint", "nodes", sick, f"{SICK}-")


def test_nodes_that_fail_together_are_not_replaced_by_themselves(
    operator: OperatorProcess, stack: Stack, hours: Hours
):
    _bind(stack, "trains", replacement="OnFailure", placement={"leases": {"allow": ["east"]}})
    (held,) = _nodes(stack, "trains")
    other = next(n for n in stack.books("east") if n != held)
    for node in (held, other):
        stack.kubectl("east", "taint", "nodes", node, f"{SICK}=yes:NoSchedule")

    def says() -> bool:
        told = condition(stack.claim(ACME, "trains") or {}, "Degraded", "message") or ""
        return "many nodes of the lease failed at once" in told

    wait_for("it says why", says)  # both are seen: one alone would be replaced when its time is up
    hours.move(0.2)
    stays("nothing is done", lambda: _sequence(stack, "trains") == 1 and says(), seconds=2)
    for node in (held, other):
        stack.kubectl("east", "taint", "nodes", node, f"{SICK}-")
    wait_for(
        "well again", lambda: condition(stack.claim(ACME, "trains") or {}, "Degraded") != "True"
    )
