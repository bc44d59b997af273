"""The story that a platform team and its tenants live, on real control planes, with the operator as its own process."""

import base64
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import H200, bare_node, gpu_node, mig_node, sharing_node
from tests.harness.ledger import facts_in
from tests.harness.pids import api_server_pid
from tests.harness.process import OperatorProcess
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, condition
from tests.harness.tenants import pod, write_access
from tests.harness.verified import is_sound
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

ACME, GLOBEX = "acme", "globex"


@pytest.fixture(scope="module")
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    for namespace in (ACME, GLOBEX, "nobodys"):
        stack.apply(
            "hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
    stack.apply(
        "west",
        *(gpu_node(f"h100-{i}") for i in range(4)),
        mig_node("mig"),
        sharing_node("shared"),
        bare_node("bare"),
    )
    stack.apply("east", gpu_node("h200-0", H200), gpu_node("h200-1", H200))
    stack.apply(
        "hub",
        lease("west", committed=32),
        lease("east", product=H200.product, committed=16, jurisdiction="US"),
        gpu_class(),
        gpu_class("h200", products=(H200.product,), price="4.80"),
        gpu_class("any", products=("NVIDIA-H100-80GB-HBM3", H200.product), price="5.00"),
        tenant(),
        tenant("globex", namespaces=(GLOBEX,)),
    )
    running = OperatorProcess(stack).start()
    for name, free in (("west", 32), ("east", 16)):
        wait_for(f"{name} sells", lambda n=name, f=free: _inventory(stack, n).get("free") == f)
    yield running
    running.kill()


@pytest.fixture(autouse=True)
def _clean(operator: OperatorProcess, stack: Stack) -> Iterator[None]:
    """Leave no claim to the next test, also after a failure; whatever was told, all planes must be sound then."""
    yield
    is_sound(stack, operator.database)
    for namespace in (ACME, GLOBEX, "nobodys"):
        stack.kubectl("hub", "delete", "gpuclaims", "-n", namespace, "--all", "--timeout=90s")
    is_sound(stack, operator.database)


def _inventory(stack: Stack, name: str) -> dict[str, Any]:
    found = stack.get("hub", "gpulease", name)
    return found.get("status", {}).get("inventory", {}) if found else {}


def _bind(stack: Stack, name: str, namespace: str = ACME, **spec: Any) -> dict[str, Any]:
    stack.apply("hub", claim(name, namespace, **spec))
    return wait_for(f"{name} bound", lambda: stack.is_bound(namespace, name))


def _billable(operator: OperatorProcess) -> float:
    """Return the GPU-seconds that tenants owe for on west."""
    return sum(
        value
        for name, value in operator.metrics().items()
        if name.startswith("sublet_tenant_billable_gpu_seconds_total") and 'lease="west"' in name
    )


def _delete(stack: Stack, name: str, namespace: str = ACME) -> None:
    stack.kubectl("hub", "delete", "gpuclaim", "-n", namespace, name, "--timeout=90s")


def test_a_tenants_plain_pod_runs_on_its_own_node_and_nowhere_else(
    operator: OperatorProcess, stack: Stack, tmp_path: Path
):
    bound = _bind(stack, "train")
    node = bound["status"]["allocation"]["placements"][0]["node"]
    config = write_access(stack, bound, tmp_path / "kubeconfig")

    stack.kubectl_with(config, "apply", "-f", "-", given=pod("work", 8))
    stack.kubectl_with(config, "wait", "--for=condition=Ready", "pod/work", "--timeout=90s")
    assert node in stack.kubectl_with(config, "get", "pod", "work", "-o", "wide")

    over = stack.kubectl_with(config, "apply", "-f", "-", given=pod("more", 1), check=False)
    assert "exceeded quota" in over
    for attack, words in (
        ({"nodeName": "h100-3"}, "spec.nodeName may not be set"),
        ({"tolerations": [{"operator": "Exists"}]}, "a toleration without a key is refused"),
        ({"schedulerName": "mine"}, "only the default scheduler is allowed"),
        ({"hostNetwork": True}, "host"),
    ):
        refused = stack.kubectl_with(
            config, "apply", "-f", "-", given=pod("evil", 0, **attack), check=False
        )
        assert words in refused, attack
    assert "forbidden" in stack.kubectl_with(config, "get", "nodes", check=False)
    assert "forbidden" in stack.kubectl_with(config, "get", "pods", "-A", check=False)

    _delete(stack, "train")

    assert stack.books("west")[node] == ""
    gone = stack.kubectl_with(config, "get", "pods", check=False)
    assert "forbidden" in gone.lower() or "unauthorized" in gone.lower()


def test_a_claim_over_two_leases_is_billed_for_both_to_the_millisecond(
    operator: OperatorProcess, stack: Stack
):
    bound = _bind(stack, "wide", class_name="any", gpus=48)
    allocation = bound["status"]["allocation"]
    time.sleep(1.2)  # a deletionTimestamp has whole seconds
    _delete(stack, "wide")
    lines = [f for f in facts_in(operator.database) if f.claim_uid == bound["metadata"]["uid"]]

    assert sorted((f.gpus, f.kind.value, f.type.value) for f in lines if f.kind == "bound") == [
        (16, "bound", "close"), (16, "bound", "open"), (32, "bound", "close"), (32, "bound", "open"),
    ]  # fmt: skip
    opened, closed = (
        {f.at_ms for f in lines if f.kind == "bound" and f.type == t} for t in ("open", "close")
    )
    assert len(opened) == len(closed) == 1
    expected = 48 * (closed.pop() - opened.pop())
    answer = operator.admin(
        "/admin/v1/usage?by=claim&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"
    )
    billed = [
        i for i in answer["items"] if i["uid"] == bound["metadata"]["uid"] and i["kind"] == "bound"
    ]
    assert [i["gpuMilliseconds"] for i in billed] == [expected]
    assert allocation["pricePerGpuHour"] == "5.00"


def test_a_claim_whose_time_is_over_never_binds_or_bills_again(
    operator: OperatorProcess, stack: Stack
):
    short = claim("short", ACME, schedule={"durationSeconds": 3})
    stack.apply("hub", short)
    ended = wait_for("ended", lambda: _in_state(stack, "short", "Ended"))
    allocation, release = ended["status"]["allocation"], ended["status"]["release"]

    assert release["releaseTime"] == allocation["untilTime"]
    before = len(facts_in(operator.database))
    stack.apply("hub", short)  # a pipeline applies it again
    stays("ended", lambda: _in_state(stack, "short", "Ended"), seconds=2)
    assert len(facts_in(operator.database)) == before
    assert condition(ended, "Ready", "reason") == "Completed"
    _delete(stack, "short")


def _in_state(stack: Stack, name: str, type_: str) -> dict[str, Any] | None:
    found = stack.claim(ACME, name)
    return found if found and condition(found, type_) == "True" else None


def test_a_recreated_namesake_is_a_new_claim(operator: OperatorProcess, stack: Stack):
    first = _bind(stack, "again")
    _delete(stack, "again")
    second = _bind(stack, "again")
    _delete(stack, "again")

    claims = {f.claim_uid for f in facts_in(operator.database)}
    assert {first["metadata"]["uid"], second["metadata"]["uid"]} <= claims


def test_a_suspended_claim_gives_back_and_gets_a_new_namespace_when_resumed(
    operator: OperatorProcess, stack: Stack
):
    bound = _bind(stack, "pausing")
    uid = bound["metadata"]["uid"]

    stack.apply("hub", claim("pausing", ACME, suspended=True))
    wait_for("given back", lambda: not any(uid in b for b in stack.books("west").values()))
    stack.apply("hub", claim("pausing", ACME, suspended=False))
    wait_for(
        "bound again", lambda: _sequence(stack, "pausing") == 2 and stack.is_bound(ACME, "pausing")
    )

    assert stack.claim_namespaces("west") == [f"sublet-{uid}-2"]
    _delete(stack, "pausing")


def _sequence(stack: Stack, name: str) -> int:
    found = stack.claim(ACME, name) or {}
    return int(found.get("status", {}).get("allocation", {}).get("sequence", 0))


def test_a_secret_deleted_or_taken_in_by_a_restart_is_no_loss(
    operator: OperatorProcess, stack: Stack, tmp_path: Path
):
    bound = _bind(stack, "steady")
    before = wait_for("it is metered", lambda: _billable(operator))
    operator.kill()
    operator.start()
    wait_for("still bound", lambda: stack.is_bound(ACME, "steady"))

    # absent until west was heard of, never less
    assert wait_for("it is metered on", lambda: _billable(operator)) >= before
    assert stack.claim(ACME, "steady")["status"]["allocation"] == bound["status"]["allocation"]
    _delete(stack, "steady")


@pytest.mark.parametrize(
    ("spec", "namespace", "reason", "words"),
    [
        ({"class_name": "nothing"}, ACME, "Misconfigured", "there is no GpuClass nothing"),
        ({}, "nobodys", "NoTenant", "belongs to no GpuTenant"),
        ({"gpus": 12}, ACME, "TopologyUnfit", "ask for 8 or 16"),
        ({"maxPricePerGpuHour": "1.00"}, ACME, "PriceUnmet", "above maxPricePerGpuHour 1.00"),
    ],
)
def test_a_claim_that_cant_be_served_says_why(
    operator: OperatorProcess, stack: Stack, spec, namespace, reason, words
):
    stack.apply("hub", claim("bad", namespace, **spec))

    def refused() -> Any:
        found = stack.claim(namespace, "bad")
        return (
            found
            if found and found.get("status", {}).get("pending", {}).get("reason") == reason
            else None
        )

    found = wait_for(reason, refused)
    assert words in found["status"]["pending"]["message"]
    assert condition(found, "Stalled") == "True"
    _delete(stack, "bad", namespace)


def test_nodes_that_cant_be_sold_are_counted_by_reason(operator: OperatorProcess, stack: Stack):
    unsellable = {u["reason"]: u["gpus"] for u in _inventory(stack, "west")["unsellable"]}

    assert unsellable == {"Mig": 56, "Sharing": 4, "LabelsMissing": 8}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not: [yaml", "is not YAML"),
        ("exec", "users[].user.exec: it would run a program in the operator"),
        ("hub", "is the hub itself"),
    ],
)
def test_a_bad_kubeconfig_is_a_condition_and_disturbs_nobody(
    operator: OperatorProcess, stack: Stack, text, words
):
    config = yaml.safe_load(stack.running.kubeconfig("west").read_text())
    if text == "exec":
        config["users"][0]["user"] = {"exec": {"command": "/bin/false"}}
    if text == "hub":
        hub = yaml.safe_load(stack.running.kubeconfig("hub").read_text())
        config["clusters"][0]["cluster"]["server"] = hub["clusters"][0]["cluster"]["server"]
    body = text if text.startswith("not") else yaml.safe_dump(config)
    secret = {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "bad", "namespace": SYSTEM, "labels": {"sublet.dev/cluster-credentials": "true"}},
        "data": {"kubeconfig": base64.b64encode(body.encode()).decode()},
    }  # fmt: skip
    stack.apply("hub", secret, lease("bad"))

    def said() -> bool:
        found = stack.get("hub", "gpulease", "bad")
        return condition(found, "CredentialsValid") == "False" and words in (
            condition(found, "CredentialsValid", "message") or ""
        )

    wait_for(words, said)
    assert condition(stack.get("hub", "gpulease", "west"), "Ready") == "True"
    stack.kubectl("hub", "delete", "gpulease", "bad", "--timeout=90s")
    stack.kubectl("hub", "delete", "secret", "-n", SYSTEM, "bad")


def test_a_lease_for_anothers_nodes_gets_none_of_them(operator: OperatorProcess, stack: Stack):
    thief = lease("thief", clusterRef={"kubeconfigSecretRef": {"name": "west"}})
    stack.apply("hub", thief)

    def overlap() -> bool:
        counts = {u["reason"]: u["gpus"] for u in _inventory(stack, "thief").get("unsellable", ())}
        return counts.get("NodeOverlap", 0) > 0

    wait_for("NodeOverlap", overlap)
    assert _inventory(stack, "thief")["free"] == 0
    stack.kubectl("hub", "delete", "gpulease", "thief", "--timeout=90s")


def test_a_lease_with_claims_cant_be_deleted_under_them(operator: OperatorProcess, stack: Stack):
    _bind(stack, "holder", class_name="h200")
    stack.kubectl("hub", "delete", "gpulease", "east", "--wait=false")

    stays(
        "the lease",
        lambda: stack.get("hub", "gpulease", "east") and stack.is_bound(ACME, "holder"),
        seconds=2,
    )
    _delete(stack, "holder")
    wait_for(
        "the lease goes when its claims are gone",
        lambda: stack.get("hub", "gpulease", "east") is None,
    )
    assert set(stack.books("east").values()) == {"-"}
    stack.apply("hub", lease("east", product=H200.product, committed=16, jurisdiction="US"))
    wait_for("sold again", lambda: _inventory(stack, "east").get("free") == 16)


def test_a_cluster_that_goes_away_frees_nothing_and_comes_back(
    operator: OperatorProcess, stack: Stack
):
    bound = _bind(stack, "island", class_name="h200")
    server = api_server_pid(stack, "east")
    os.kill(server, signal.SIGSTOP)
    try:
        wait_for(
            "unknown",
            lambda: condition(stack.get("hub", "gpulease", "east"), "Reachable") == "Unknown",
            seconds=60,
        )
        assert stack.is_bound(ACME, "island")
        assert _inventory(stack, "east")["bound"] == 8
        assert condition(stack.get("hub", "gpulease", "west"), "Reachable") == "True"
        before = _billed(operator, bound)
        time.sleep(0.3)
        assert _billed(operator, bound) > before
        stack.apply("hub", claim("mainlander", ACME, class_name="h200"))
        wait_for("another waits", lambda: "pending" in (stack.claim(ACME, "mainlander") or {}).get("status", {}))  # fmt: skip
        stays("nothing is sold", lambda: not _in_state(stack, "mainlander", "Reserved"), seconds=2)
    finally:
        os.kill(server, signal.SIGCONT)
    wait_for(
        "reachable",
        lambda: condition(stack.get("hub", "gpulease", "east"), "Ready") == "True",
        seconds=60,
    )
    wait_for("and sold again", lambda: stack.is_bound(ACME, "mainlander"))
    assert stack.claim(ACME, "island")["status"]["allocation"] == bound["status"]["allocation"]
    _delete(stack, "island")


def _billed(operator: OperatorProcess, bound: dict[str, Any]) -> int:
    answer = operator.admin(
        "/admin/v1/usage?by=claim&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"
    )
    return next(
        int(i["gpuMilliseconds"]) for i in answer["items"] if i["uid"] == bound["metadata"]["uid"]
    )


def test_nothing_is_written_at_rest(operator: OperatorProcess, stack: Stack):
    _bind(stack, "resting")
    wait_for("quiet", lambda: _versions_still(stack, 1.5))

    before = _versions(stack)
    time.sleep(4.0)
    assert _versions(stack) == before
    _delete(stack, "resting")


def _versions_still(stack: Stack, seconds: float) -> bool:
    before = _versions(stack)
    time.sleep(seconds)
    return _versions(stack) == before


def _versions(stack: Stack) -> list[str]:
    kinds = "gpuclaims,gpuleases,gpuclasses,gputenants,secrets"
    items = stack.get("hub", kinds, "-A")["items"] + stack.get("west", "namespaces")["items"]
    metas = [i["metadata"] for i in items if not i["metadata"].get("deletionTimestamp")]
    return [f"{meta['name']} {meta['resourceVersion']}" for meta in metas]


def test_the_process_ends_cleanly_when_asked(operator: OperatorProcess, stack: Stack):
    assert operator.terminate() == 0
    holder = stack.get("hub", "lease.coordination.k8s.io", "-n", SYSTEM, "sublet")["spec"].get(
        "holderIdentity"
    )
    assert not holder
    operator.start()  # tests run in any order
