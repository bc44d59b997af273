"""A whole life of the operator, so that every right that it needs is used: what its rights are measured by.

Of all that people name there are two: a right that was used on one name alone is on one that Sublet itself gives.
"""

import json
import urllib.request
from typing import Any

import yaml

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.hours import Hours
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.tenants import write_access
from tests.harness.waiting import wait_for

ACME, GLOBEX = "acme", "globex"
TENANTS = (ACME, GLOBEX)
"""Both as tenants and as the namespaces that they are in."""
CONTENTS = "resourcequotas,limitranges,networkpolicies,serviceaccounts,roles,rolebindings"
SICK = "nvidia.com/gpu-xid-error"
TOKEN_HOURS = 3.5
"""After which tokens that live for six hours are renewed."""


def live_through_everything(stack: Stack) -> None:
    """Adopt, bind, approve, renew, replace and leave a node, spend a budget, suspend, mend, release, hand back."""
    hours = Hours(stack)
    operator = _furnish(stack, hours)
    whole = _bind(stack, "whole", replacement="OnFailure")
    part = _bind(stack, "part", gpus=2)
    _approve(stack)
    _bind(stack, "theirs", GLOBEX, gpus=2, class_name="spare")
    _scrape(stack, operator)
    config = write_access(stack, whole, stack.folder / "whole.kubeconfig")
    _wound(stack, f"sublet-{whole['metadata']['uid']}-1")
    _empty(stack, f"sublet-{part['metadata']['uid']}-1")
    stack.kubectl_with(config, "run", "work", "--image=x")
    _replace_a_node(stack, hours)
    _renew(stack, hours)
    _drift(stack)
    _suspend(stack)
    wait_for("statements are written", lambda: all(_totals(stack).get(x) for x in _own(TENANTS)))
    stack.kubectl("hub", "delete", "gpuclaims", "-A", "--all", "--timeout=60s")
    _swap_namespaces(stack)
    stack.kubectl("hub", "delete", "gpuleases", "--all", "--timeout=60s")
    operator.terminate()


def _furnish(stack: Stack, hours: Hours) -> OperatorProcess:
    for name in TENANTS:
        stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    stack.apply("west", *(gpu_node(f"n{i}") for i in range(5)))
    extra = {"roleRules": [{"apiGroup": "kubeflow.org", "resources": ["pytorchjobs"]}]}
    share = {"cpuPerGpu": 8, "memoryMiBPerGpu": 65_536, "storageMiBPerGpu": 102_400}
    leases = [
        lease("west", committed=40, tenantAccess=extra),
        lease("own", clusterRef={"inCluster": {}}),
    ]
    budget = {"amount": "900000", "currency": "USD", "period": "Month"}
    classes = gpu_class(hostShare=share, approvalAboveGpus=8), gpu_class("spare")
    owners = tenant(budget=budget), tenant(GLOBEX, namespaces=(GLOBEX,))
    stack.apply("hub", *leases, *classes, *owners)
    operator = OperatorProcess(
        stack,
        module="tests.harness.shifting",
        CLOCK_SHIFT=str(hours.file),
        SUBLET_METRICS_AUTH="true",
        SUBLET_DRIFT_SECONDS="1",
        SUBLET_STATEMENT_SECONDS="1",
    )
    return operator.start()


def _own(tenants: tuple[str, ...]) -> set[tuple[str, str]]:
    """Return each tenant in its own namespace."""
    return {(name, name) for name in tenants}


def _totals(stack: Stack) -> dict[tuple[str, str], str | None]:
    """Return what statements come to, by namespace and tenant."""
    items = stack.get("hub", "gpustatements", "-A")["items"]
    return {
        (x["metadata"]["namespace"], x["spec"]["tenant"]): x.get("status", {}).get("total")
        for x in items
    }


def _bind(stack: Stack, name: str, namespace: str = ACME, **spec: Any) -> dict[str, Any]:
    stack.apply("hub", claim(name, namespace, **spec))
    return wait_for(f"{name} bound", lambda: stack.is_bound(namespace, name))


def _wound(stack: Stack, home: str) -> None:
    """Change by hand what the operator then puts back."""
    level = "pod-security.kubernetes.io/enforce"
    change = ("label", "namespace", home, f"{level}=baseline", "--overwrite")
    stack.kubectl("west", *change, "--as=system:serviceaccount:sublet-system:sublet")
    wait_for("put back", lambda: _labels(stack, home)[level] == "restricted")


def _empty(stack: Stack, home: str) -> None:
    """Delete by hand all that a bind made in a claim's namespace; the operator makes it anew."""
    before = _contents(stack, home)
    stack.kubectl("west", "delete", CONTENTS, "-n", home, "-l", "sublet.dev/claim")
    wait_for("made anew", lambda: _contents(stack, home).keys() == before.keys())
    assert not set(_contents(stack, home).values()) & set(before.values())


def _contents(stack: Stack, home: str) -> dict[tuple[str, str], str]:
    """Return the UIDs of what a bind made in a claim's namespace, by kind and name."""
    items = stack.get("west", CONTENTS, "-n", home, "-l", "sublet.dev/claim")["items"]
    return {(x["kind"], x["metadata"]["name"]): x["metadata"]["uid"] for x in items}


def _labels(stack: Stack, namespace: str) -> dict[str, str]:
    labels: dict[str, str] = stack.get("west", "namespace", namespace)["metadata"]["labels"]
    return labels


def _approve(stack: Stack) -> None:
    """Let a person approve a large claim, and give it up again."""
    stack.apply("hub", claim("large", ACME, gpus=16))
    wait_for("it waits", lambda: says(stack, "large", "Ready", "reason") == "WaitingForApproval")
    uid = (stack.claim(ACME, "large") or {})["metadata"]["uid"]
    word = f"sublet.dev/approved={uid}=16,h100"
    stack.kubectl("hub", "annotate", "gpuclaim", "-n", ACME, "large", word)
    wait_for("large bound", lambda: stack.is_bound(ACME, "large"))
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "large", "--timeout=60s")


def _replace_a_node(stack: Stack, hours: Hours) -> None:
    """Let a node fail under a claim until it has moved to another and left the first."""
    node = _status(stack, "whole")["allocation"]["placements"][0]["node"]
    stack.kubectl("west", "taint", "nodes", node, f"{SICK}=yes:NoSchedule")
    wait_for("told", lambda: says(stack, "whole", "Degraded", "reason") == "NodeFailed")
    hours.move(0.2)
    wait_for("moved", lambda: _status(stack, "whole")["allocation"]["sequence"] == 2)
    wait_for("left", lambda: not _status(stack, "whole").get("leaving"))
    stack.kubectl("west", "taint", "nodes", node, f"{SICK}-")


def _renew(stack: Stack, hours: Hours) -> None:
    before = _status(stack, "part")["access"]["renewalTime"]
    hours.move(TOKEN_HOURS)
    wait_for("renewed", lambda: _status(stack, "part")["access"]["renewalTime"] > before)


def _drift(stack: Stack) -> None:
    """Touch a policy and put it back: the operator looks, and says so."""
    binding = "validatingadmissionpolicybinding/sublet-node-metadata"
    for actions, state in ((["Audit"], "False"), (["Deny"], "True")):
        body = json.dumps({"spec": {"validationActions": actions}})
        stack.kubectl("west", "patch", binding, "--type=merge", "-p", body)
        wait_for(f"isolation is {state}", lambda s=state: _isolation(stack) == s)


def _suspend(stack: Stack) -> None:
    stack.apply("hub", claim("whole", ACME, replacement="OnFailure", suspended=True))
    wait_for("given back", lambda: says(stack, "whole", "Releasing", "reason") == "Released")
    stack.apply("hub", claim("whole", ACME, replacement="OnFailure", suspended=False))
    wait_for("bound again", lambda: stack.is_bound(ACME, "whole"))


def _swap_namespaces(stack: Stack) -> None:
    """Give each tenant the other's namespace, and wait until what it owes is taken out of its own."""
    stack.apply("hub", tenant(namespaces=("elsewhere",)), tenant(GLOBEX, namespaces=(ACME,)))
    stack.apply("hub", tenant(namespaces=(GLOBEX,)))
    wait_for("no statement stays", lambda: _own(TENANTS).isdisjoint(_totals(stack)))


def says(stack: Stack, name: str, type_: str, field: str) -> str | None:
    """Return what a claim's condition says."""
    found = stack.claim(ACME, name)
    return condition(found, type_, field) if found else None


def _isolation(stack: Stack) -> str | None:
    return condition(stack.get("hub", "gpulease", "west"), "IsolationReady")


def _status(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (stack.claim(ACME, name) or {}).get("status", {})
    return found


def _scrape(stack: Stack, operator: OperatorProcess) -> None:
    """Read /metrics as somebody who may."""
    config = yaml.safe_load(stack.running.kubeconfig("hub").read_text())
    request = urllib.request.Request(f"http://127.0.0.1:{operator.port('public')}/metrics")
    request.add_header("Authorization", f"Bearer {config['users'][0]['user']['token']}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert b"sublet_leader 1.0" in answer.read()
