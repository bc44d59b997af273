"""A kubelet played by hand: nodes whose status nobody else writes, so that they can fall ill as real ones do."""

import json
from typing import Any

from tests.builders.nodes import KWOK, gpu_node
from tests.harness.stack import Stack


class HandKubelet:
    """The nodes of one plane that are played by hand."""

    def __init__(self, stack: Stack, plane: str) -> None:
        self._stack = stack
        self._plane = plane

    def join(self, *names: str, gpus: int = 8) -> None:
        """Register nodes that are Ready."""
        for name in names:
            body = gpu_node(name)
            for key in KWOK:
                body["metadata"].get("annotations", {}).pop(key, None)
            self._stack.apply(self._plane, body)
            self.show(name, gpus=gpus)

    def show(self, name: str, *, gpus: int | None = None, ready: bool | None = None) -> None:
        """Report so many allocatable GPUs, or that the kubelet is Ready or isn't."""
        status: dict[str, Any] = {}
        if gpus is not None:
            status["allocatable"] = {"nvidia.com/gpu": str(gpus)}
        if ready is not None or gpus is not None:
            word = "True" if ready in (None, True) else "False"
            status["conditions"] = [{"type": "Ready", "status": word, "reason": "ByHand"}]
        self._patch(name, {"status": status}, "--subresource=status")

    def label(self, name: str, **labels: str | None) -> None:
        """Set or remove labels of NVIDIA's domain, whose names have dashes where Python has underscores."""
        named = {f"nvidia.com/{k.replace('_', '-')}": v for k, v in labels.items()}
        self._patch(name, {"metadata": {"labels": named}})

    def _patch(self, name: str, body: dict[str, Any], *options: str) -> None:
        patch = ("patch", "node", name, "--type=strategic", "-p", json.dumps(body))
        self._stack.kubectl(self._plane, *patch, *options)
