"""The forms a claim can take: whole nodes of one size, or one part of exactly one node."""

from collections.abc import Iterable
from dataclasses import dataclass

from sublet.api.gpuclaim import GpuClaim, Scope


@dataclass(frozen=True, slots=True)
class Shape:
    """`gpus` GPUs of each of `nodes` nodes."""

    nodes: int
    gpus: int
    is_part: bool
    """It takes less than its one node has; the node may be of any larger size."""


def shapes_on(claim: GpuClaim, sizes: Iterable[int]) -> set[Shape]:
    """Return the claim's forms on nodes of these sizes."""
    spec = claim.spec
    found = set()
    for size in sizes:
        per_node = spec.gpus_per_node if spec.gpus_per_node is not None else min(size, spec.gpus)
        if per_node > size or spec.gpus % per_node:
            continue
        nodes = spec.gpus // per_node
        one_node = per_node < size or spec.topology.scope is Scope.NODE
        if nodes == 1 or not one_node:
            found.add(Shape(nodes, per_node, is_part=per_node < size))
    return found


def unfit_message(claim: GpuClaim, sizes: Iterable[int]) -> str:
    """Say why no node size fits; name the two nearest numbers of GPUs that would where that is what is wrong."""
    spec, known = claim.spec, sorted(set(sizes))
    have = " or ".join(str(s) for s in known)
    if spec.topology.scope is Scope.NODE and spec.gpus > known[-1]:
        return f"{spec.gpus} GPUs don't fit on one node; nodes have {have}"
    if spec.gpus_per_node is not None:
        return (
            f"gpusPerNode {spec.gpus_per_node} fits no node: nodes have {have}, and a claim on several nodes "
            "takes whole ones"
        )
    below = max(spec.gpus // s * s for s in known)
    above = min(-(-spec.gpus // s) * s for s in known)
    return (
        f"{spec.gpus} GPUs are neither a part of one node nor a multiple of a node's {have}; "
        f"ask for {below} or {above}"
    )
