"""What somebody does by hand to what Sublet made: as an admin, or past the policies that would have refused it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sublet.cli.onboarding.apply import apply_all
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import LeasedOptions, leased_cluster
from tests.harness.stack import NAMESPACE, Stack
from tests.harness.waiting import wait_for

OPERATOR = f"--as=system:serviceaccount:{NAMESPACE}:sublet"
_GUARDS = ("sublet-node-invariants", "sublet-node-metadata", "sublet-namespace-metadata")


@contextmanager
def unguarded(stack: Stack, plane: str) -> Iterator[None]:
    """Take the policies off that guard marks of nodes and namespaces, and put them back: as a restored backup has it."""
    kind = "validatingadmissionpolicybinding"
    stack.kubectl(plane, "delete", kind, *_GUARDS)
    wait_for("the policies are off", lambda: not any(_refuse(stack, plane)))
    yield
    asyncio.run(_guard(stack, plane))
    wait_for("the policies act", lambda: all(_refuse(stack, plane)))


def _refuse(stack: Stack, plane: str) -> list[bool]:
    """Say whether marks are refused, of nodes and of namespaces: the server forgets the policies one after the other."""
    node = stack.get(plane, "nodes")["items"][0]["metadata"]["name"]
    marks = (
        ("node", node, "sublet.dev/x=y"),
        ("namespace", "default", "sublet.dev/capabilities=X"),
    )
    asked = (("annotate", *mark, "--overwrite", "--dry-run=server") for mark in marks)
    said = [stack.kubectl(plane, *each, check=False) for each in asked]
    return ["only the sublet operator" in each for each in said]


async def _guard(stack: Stack, plane: str) -> None:
    endpoint = await hub_endpoint(kubeconfig=str(stack.running.kubeconfig(plane)))
    async with ApiServer(endpoint) as api:
        options = LeasedOptions(role_resources=("kubeflow.org/pytorchjobs",))
        names = [m for m in leased_cluster(options) if m["kind"].endswith("PolicyBinding")]
        await apply_all(api, [m for m in names if m["metadata"]["name"] in _GUARDS])


def strip_node(stack: Stack, plane: str, node: str, *keys: str, taint: bool = False) -> None:
    """Take labels (`label:KEY`) and annotations (`annotation:KEY`) off a node, and the pool's taint."""
    for key in keys:
        kind, name = key.split(":", 1)
        verb = {"label": "label", "annotation": "annotate"}[kind]
        stack.kubectl(plane, verb, "node", node, f"{name}-")
    if taint:
        stack.kubectl(plane, "taint", "node", node, "sublet.dev/pool-")


def patch(stack: Stack, plane: str, *what: str, **body: Any) -> None:
    """Merge a patch into an object as an admin."""
    stack.kubectl(plane, "patch", *what, "--type=merge", "-p", json.dumps(body))


def let_go(stack: Stack, namespace: str, name: str) -> None:
    """Take a claim's finalizer off by hand, past the policy that forbids it."""
    body = json.dumps({"metadata": {"finalizers": None}})
    stack.kubectl("hub", "patch", "gpuclaim", "-n", namespace, name, "--type=merge", "-p", body, OPERATOR)  # fmt: skip
