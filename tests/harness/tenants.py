"""What a tenant does with a claim: takes its kubeconfig, writes pods."""

import base64
from pathlib import Path
from typing import Any

import yaml

from tests.harness.stack import Stack


def write_access(stack: Stack, bound: dict[str, Any], path: Path) -> Path:
    """Write a bound claim's kubeconfig into a file and return its path."""
    name, namespace = bound["status"]["access"]["secretName"], bound["metadata"]["namespace"]
    secret = stack.get("hub", "secret", "-n", namespace, name)
    path.touch(mode=0o600)
    path.write_bytes(base64.b64decode(secret["data"]["value"]))
    return path


def pod(name: str, gpus: int = 1, **spec: Any) -> str:
    """Return a plain pod as YAML, as somebody writes it who knows nothing of Sublet."""
    limits = {"nvidia.com/gpu": gpus}
    container = {"name": "main", "image": "train:1", "resources": {"limits": limits}}
    body = {"containers": [container], **spec}
    meta = {"name": name}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body})
