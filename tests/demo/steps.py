"""The demo's steps: what is done, what must hold, what is shown. Each raises AssertionError if it doesn't hold."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.builders.nodes import H100, H200, gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition, person_kubeconfig
from tests.harness.tenants import pod, write_access
from tests.harness.waiting import wait_for
from tests.planes.binaries import ROOT, find

ACME, GLOBEX = "acme-research", "globex-ml"
SUBLET = Path(sys.executable).parent / "sublet"


def bring_nodes(stack: Stack) -> str:
    """Put GPU nodes into the leased clusters."""
    zones = ("es-mad-1a", "es-mad-1b")
    west = [gpu_node(f"h100-{i}", H100, zone=zones[i // 2], region="es-mad-1") for i in range(4)]
    east = [gpu_node(f"h200-{i}", H200, zone="us-east-2a", region="us-east-2") for i in range(2)]
    stack.apply("west", *west)
    stack.apply("east", *east)
    return "4 nodes of 8 H100 in west, 2 nodes of 8 H200 in east"


def apply_examples(stack: Stack) -> str:
    """Apply examples/ as a pipeline would."""
    stack.kubectl("hub", "apply", "-f", str(ROOT / "examples"))
    return "examples/: 2 leases, 2 classes, 2 tenants, 4 claims"


def see_leases(stack: Stack) -> str:
    """Wait until both leases sell."""
    for name in ("neocloud-h100", "metalworks-h200"):
        wait_for(
            f"{name} ready",
            lambda n=name: condition(stack.get("hub", "gpulease", n), "Ready") == "True",
        )
    return "both leased clusters are reachable, identified and proven isolated"


def see_claims(stack: Stack) -> str:
    """Wait until three claims are bound and one is refused with its reason."""
    for namespace, name in ((ACME, "train"), (GLOBEX, "notebook"), (GLOBEX, "finetune")):
        wait_for(f"{name} bound", lambda n=namespace, c=name: stack.is_bound(n, c))
    refused = wait_for("bargain refused", lambda: _pending(stack, ACME, "bargain"))
    assert refused["reason"] == "PriceUnmet", refused
    return f"3 claims Bound; bargain is refused: {refused['message']}"


def check_pod(stack: Stack) -> str:
    """Look where the pod runs that README makes: on a node of its claim; take it away, as somebody may play README again."""
    config = claims_kubeconfig(stack)
    found = json.loads(stack.kubectl_with(config, "get", "pod", "work", "-o", "json"))
    claim = stack.claim(ACME, "train") or {}
    nodes = {p["node"] for p in claim["status"]["allocation"]["placements"]}
    assert found["spec"]["nodeName"] in nodes
    stack.kubectl_with(config, "delete", "pod", "work", "--timeout=60s")
    config.unlink()
    return (
        f"pod work of {ACME}/train is Running on {found['spec']['nodeName']}, one of its own nodes"
    )


def refuse_attack(stack: Stack) -> str:
    """Let the same tenant reach for another tenant's node; the API server must refuse."""
    other = stack.claim(GLOBEX, "notebook") or {}
    node = other["status"]["allocation"]["placements"][0]["node"]
    answer = stack.kubectl_with(
        access(stack, ACME, "train"),
        "apply",
        "-f",
        "-",
        given=pod("intruder", 1, nodeName=node),
        check=False,
    )
    assert "denied request" in answer, answer
    words = answer.split("denied request: ")[-1].strip()
    return f"a pod of the same tenant for node {node} is refused: {words}"


def release(stack: Stack) -> str:
    """Give a claim GPUs and take them back; its pod must be gone, its node free and its kubeconfig worth nothing."""
    run_cli(stack, "claim", "infer", "-n", GLOBEX, "--class", "h200", "--gpus", "8", "--wait", "60")
    config = access(stack, GLOBEX, "infer")
    stack.kubectl_with(config, "apply", "-f", "-", given=pod("work", 8))
    stack.kubectl_with(config, "wait", "--for=condition=Ready", "pod/work", "--timeout=90s")
    claim = stack.claim(GLOBEX, "infer") or {}
    nodes = sorted(p["node"] for p in claim["status"]["allocation"]["placements"])
    begun = time.monotonic()
    run_cli(stack, "release", "infer", "-n", GLOBEX, "--yes", "--wait", "60")
    wait_for("infer gone", lambda: stack.claim(GLOBEX, "infer") is None)
    books = stack.books("east")
    assert all(books[node] == "" for node in nodes), books
    answer = stack.kubectl_with(config, "get", "pods", check=False)
    assert "forbidden" in answer.lower() or "unauthorized" in answer.lower(), answer
    took = time.monotonic() - begun
    return f"infer, made for this: {', '.join(nodes)} is free again after {took:.1f} s; the tenant's kubeconfig opens nothing any more"


def check_usage(stack: Stack, operator: OperatorProcess) -> str:
    """Check that each claim that was bound is billed, and that the ledger is whole."""
    url = f"http://127.0.0.1:{operator.port('admin')}"
    answer = json.loads(run_cli(stack, "usage", "--admin", url, "-o", "json"))
    billed = [i for i in answer["items"] if i["kind"] == "bound"]
    assert len(billed) == 4, billed
    assert operator.admin("/admin/v1/ledger/verify")["fault"] is None
    return "4 claims are billed; the ledger is whole"


def write_settings(stack: Stack, operator: OperatorProcess) -> Path:
    """Write what gives a terminal all that README needs, and return its path from the repository's root."""
    config = person_kubeconfig(stack, "hub", "west", "east")
    path = settings_file(stack)
    (ROOT / path).write_text(
        f'export PATH="{SUBLET.parent}:{find("kubectl").parent}:$PATH"\n'
        f'export KUBECONFIG="{config}"\n'
        f'export CLAIMS="{claims_kubeconfig(stack).relative_to(ROOT)}"\n'
        f'export ADMIN="http://127.0.0.1:{operator.port("admin")}"\n'
    )
    return path


def settings_file(stack: Stack) -> Path:
    """Return the file's path from the repository's root."""
    return (stack.folder / "env").relative_to(ROOT)


def claims_kubeconfig(stack: Stack) -> Path:
    """Return the file into which README merges claims' kubeconfigs."""
    return stack.folder / "claims"


def run_cli(stack: Stack, *arguments: str) -> str:
    """Run the command line as the platform team does."""
    environment = {
        **os.environ,
        "KUBECONFIG": str(stack.running.kubeconfig("hub")),
        "COLUMNS": "140",
    }
    done = subprocess.run(
        [str(SUBLET), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def access(stack: Stack, namespace: str, name: str) -> Path:
    """Write a claim's kubeconfig into the set's folder and return its path."""
    return write_access(
        stack, stack.claim(namespace, name) or {}, stack.folder / "tenant.kubeconfig"
    )


def _pending(stack: Stack, namespace: str, name: str) -> dict[str, Any] | None:
    found = stack.claim(namespace, name) or {}
    pending: dict[str, Any] | None = found.get("status", {}).get("pending")
    return pending
