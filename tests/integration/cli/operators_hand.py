"""What happens in a leased cluster without the operator: marks of its on nodes, made with its own credential."""

import json
from pathlib import Path
from typing import Any

from tests.builders.api import uid_of
from tests.harness.stack import Stack


def adopt(stack: Stack, operator: Path, node: str, lease: str, *, claim: str = "") -> None:
    """Mark a node as the operator marks it, in one patch as the policies ask; with a claim, hold its GPUs."""
    taint = {"key": "sublet.dev/pool", "value": lease, "effect": "NoSchedule"}
    there = stack.get("west", "node", node)["spec"].get("taints", [])
    free = {"sublet.dev/allocation": "", "sublet.dev/sharing": "SameTenant"}
    _patch(stack, operator, node, {"sublet.dev/lease": lease}, free, taints=[*there, taint])
    if claim:
        held = {"sublet.dev/allocation": f"{claim}=8", "sublet.dev/tenant": uid_of("tenant")}
        _patch(stack, operator, node, {f"claim.sublet.dev/{claim}": "true"}, held)


def _patch(
    stack: Stack,
    operator: Path,
    node: str,
    labels: dict[str, str],
    annotations: dict[str, str],
    **spec: Any,
) -> None:
    body = {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
    patch = ("patch", "node", node, "--type=merge", "-p", json.dumps(body))
    stack.kubectl_with(operator, *patch)
