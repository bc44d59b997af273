"""The forms a claim can take: whole nodes of one size, or one part of exactly one node."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.topology import Scope
from sublet.api.wording import how_many

MAX_NODES: Final = 4_096
"""A claim's status has room for so many placements."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`gpus` GPUs of each of `nodes` nodes."""

    nodes: int
    gpus: int
    is_part: bool
    """It takes less than its one node has; the node may be of any larger size."""


def shapes_on(claim: GpuClaim, sizes: frozenset[int]) -> tuple[Shape, ...]:
    """Return the claim's forms on nodes of these sizes, parts first: they spare whole nodes."""
    spec = claim.spec
    least = spec.placement.least_nodes
    return _shapes(spec.gpus, spec.gpus_per_node, must_have_one_node(claim), least, sizes)


def must_have_one_node(claim: GpuClaim) -> bool:
    """Say whether a claim takes one node or nothing."""
    return claim.spec.topology.must_be(Scope.NODE)


def would_like_one_node(claim: GpuClaim) -> bool:
    """Say whether a claim takes one node before several, but several before none."""
    return claim.spec.topology.scope is Scope.NODE and not claim.spec.topology.required


@lru_cache(maxsize=4_096)
def _shapes(
    gpus: int, asked_per_node: int | None, one_node: bool, least_nodes: int, sizes: frozenset[int]
) -> tuple[Shape, ...]:
    found = set()
    for size in sizes:
        per_node = asked_per_node if asked_per_node is not None else min(size, gpus)
        if per_node > size or gpus % per_node:
            continue
        nodes, is_part = gpus // per_node, per_node < size
        if nodes < least_nodes:
            continue
        if nodes == 1 or (nodes <= MAX_NODES and not (one_node or is_part)):
            found.add(Shape(nodes, per_node, is_part))
    return tuple(sorted(found, key=lambda s: (s.nodes, s.gpus, not s.is_part)))


def unfit_message(claim: GpuClaim, sizes: Iterable[int]) -> str:
    """Say why no node size fits; name the two nearest numbers of GPUs that would where that is what is wrong."""
    spec, known = claim.spec, sorted(set(sizes))
    have = " or ".join(str(s) for s in known)
    if must_have_one_node(claim) and spec.gpus > known[-1]:
        return f"{how_many(spec.gpus, 'GPU')} don't fit on one node; nodes have {have}"
    if spec.gpus > MAX_NODES * (spec.gpus_per_node or known[-1]):
        return f"{how_many(spec.gpus, 'GPU', 'takes', 'take')} more than {MAX_NODES} nodes of {have}; make several claims"
    if spec.gpus_per_node is not None:
        return (
            f"gpusPerNode {spec.gpus_per_node} fits no node: nodes have {have}, and a claim on several nodes "
            "takes whole ones"
        )
    near = " or ".join(str(gpus) for gpus in nearest_sizes(claim, known))
    least = spec.placement.least_nodes
    if least > 1:
        return (
            f"{how_many(spec.gpus, 'GPU')} can't be spread over {least} or more whole nodes, as placement asks; "
            f"nodes have {have}, ask for {near}"
        )
    return (
        f"{how_many(spec.gpus, 'GPU', 'is', 'are')} neither a part of one node nor a multiple of a node's {have}; "
        f"ask for {near}"
    )


def nearest_sizes(claim: GpuClaim, sizes: Iterable[int]) -> tuple[int, ...]:
    """Return the nearest numbers of GPUs, below and above what is asked for, that nodes of these sizes make up."""
    gpus, known, least = claim.spec.gpus, sorted(set(sizes)), claim.spec.placement.least_nodes
    below = max((min(gpus // s, MAX_NODES) * s for s in known if gpus // s >= least), default=0)
    above = min((max(least, -(-gpus // s)) * s for s in known if gpus <= MAX_NODES * s), default=0)
    return tuple(near for near in (below, above) if near)
