"""The operator's rights, measured: over a whole life nothing is forbidden to it, and nothing granted is never used."""

import urllib.request
from collections.abc import Iterator

import pytest
import yaml

from sublet.manifests.render import HubOptions, LeasedOptions, hub as hub_manifests, leased_cluster
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, condition, start_stack
from tests.harness.waiting import wait_for
from tests.integration.rights.audit import granted, refused, used

pytestmark = [pytest.mark.planes, pytest.mark.timeout(180)]

ACME = "acme"
OPERATOR = f"system:serviceaccount:{SYSTEM}:sublet"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = start_stack("rights", leased=("west",), audited=OPERATOR)
    _live_through_everything(running)
    yield running
    running.stop()


def _live_through_everything(stack: Stack) -> None:
    """Adopt nodes, bind a whole node and a part, put a change by hand right, run a pod, suspend, resume, release, scrape, hand back."""
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", gpu_node("n0"), gpu_node("n1"))
    extra = {"roleRules": [{"apiGroup": "kubeflow.org", "resources": ["pytorchjobs"]}]}
    share = {"cpuPerGpu": 8, "memoryMiBPerGpu": 65_536}
    leases = [
        lease("west", committed=16, tenantAccess=extra),
        lease("own", clusterRef={"inCluster": {}}),
    ]
    stack.apply("hub", *leases, gpu_class(hostShare=share), tenant())
    operator = OperatorProcess(stack, SUBLET_METRICS_AUTH="true", SUBLET_DRIFT_SECONDS="1").start()
    stack.apply("hub", claim("whole", ACME), claim("part", ACME, gpus=2))
    whole = wait_for("whole bound", lambda: stack.is_bound(ACME, "whole"))
    wait_for("part bound", lambda: stack.is_bound(ACME, "part"))
    _scrape(stack, operator)
    home = f"sublet-{whole['metadata']['uid']}-1"
    _wound(stack, home)
    stack.kubectl("west", "-n", home, "run", "work", "--image=x", "--dry-run=none")
    stack.apply("hub", claim("whole", ACME, suspended=True))
    wait_for("given back", lambda: _says(stack, "whole", "Releasing", "reason") == "Released")
    stack.apply("hub", claim("whole", ACME, suspended=False))
    wait_for("bound again", lambda: stack.is_bound(ACME, "whole"))
    stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, "--all", "--timeout=60s")
    stack.kubectl("hub", "delete", "gpuleases", "--all", "--timeout=60s")
    operator.terminate()


def _wound(stack: Stack, home: str) -> None:
    """Change by hand what the operator then puts back."""
    level = "pod-security.kubernetes.io/enforce"
    stack.kubectl("west", "label", "namespace", home, f"{level}=baseline", "--overwrite", f"--as={OPERATOR}")  # fmt: skip
    wait_for("put back", lambda: stack.get("west", "namespace", home)["metadata"]["labels"][level] == "restricted")  # fmt: skip


def _says(stack: Stack, name: str, type_: str, field: str) -> str | None:
    found = stack.claim(ACME, name)
    return condition(found, type_, field) if found else None


def _scrape(stack: Stack, operator: OperatorProcess) -> None:
    """Read /metrics as somebody who may."""
    config = yaml.safe_load(stack.running.kubeconfig("hub").read_text())
    request = urllib.request.Request(f"http://127.0.0.1:{operator.port('public')}/metrics")
    request.add_header("Authorization", f"Bearer {config['users'][0]['user']['token']}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert b"sublet_leader 1.0" in answer.read()


@pytest.mark.parametrize("plane", ["hub", "west"])
def test_nothing_that_the_operator_does_is_forbidden_to_it(stack: Stack, plane: str):
    assert refused(stack.folder / plane / "audit.log", OPERATOR) == []


def test_every_right_on_the_hub_is_used(stack: Stack):
    rights = granted(hub_manifests(HubOptions()), "sublet")
    by_fallback = {
        ("sublet.dev", "gpuclaims", "patch")
    }  # the finalizer, where admission doesn't set it

    assert rights - used(stack.folder / "hub" / "audit.log", OPERATOR) - by_fallback == set()


def test_every_right_in_a_leased_cluster_is_used(stack: Stack):
    rights = granted(leased_cluster(LeasedOptions()), "sublet")

    assert rights - used(stack.folder / "west" / "audit.log", OPERATOR) == set()
