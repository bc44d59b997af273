"""The forms a claim can take on nodes of one size: whole nodes, or one part of exactly one node."""

from collections.abc import Iterable
from dataclasses import dataclass

from sublet.api.gpuclaim import GpuClaim, Scope


@dataclass(frozen=True, slots=True)
class Shape:
    """`nodes` nodes of `size` GPUs, `gpus` of each."""

    size: int
    nodes: int
    gpus: int

    @property
    def is_part(self) -> bool:
        """Say whether the claim leaves a part of its node to others."""
        return self.gpus < self.size


def shape_on(claim: GpuClaim, size: int) -> Shape | None:
    """Return the claim's form on nodes of `size` GPUs, None if it has none."""
    spec = claim.spec
    per_node = spec.gpus_per_node
    if per_node is None:
        per_node = min(size, spec.gpus)
    if per_node > size or spec.gpus % per_node:
        return None
    nodes = spec.gpus // per_node
    one_node = per_node < size or spec.topology.scope is Scope.NODE
    return None if one_node and nodes > 1 else Shape(size, nodes, per_node)


def unfit_message(claim: GpuClaim, sizes: Iterable[int]) -> str:
    """Say why no node size fits and name the two nearest numbers of GPUs that would."""
    spec, known = claim.spec, sorted(set(sizes))
    have = " or ".join(str(s) for s in known)
    if spec.topology.scope is Scope.NODE and spec.gpus > known[-1]:
        return f"{spec.gpus} GPUs don't fit on one node; nodes have {have}"
    if spec.gpus_per_node is not None:
        return (
            f"gpusPerNode {spec.gpus_per_node} fits no node; nodes have {have}, and a claim on several nodes "
            "takes whole ones"
        )
    below = max((spec.gpus // s * s for s in known), default=0)
    above = min(-(-spec.gpus // s) * s for s in known)
    return (
        f"{spec.gpus} GPUs are neither a part of one node nor a multiple of a node's {have}; "
        f"ask for {below} or {above}"
    )
