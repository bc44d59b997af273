"""What is told of drift: findings of claims, and of leases what is nobody's. Plain data, made by looks, read by the loop."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a bound claim is Degraded though its nodes are well; the worst first."""

    NODE_IN_DOUBT = "NodeInDoubt"
    """What its node says of itself disagrees with the claim, and isn't put right by itself."""
    ISOLATION_DEGRADED = "IsolationDegraded"
    """Something that keeps tenants apart isn't as it was and isn't put back by itself."""
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    """Somebody else deleted its namespace, which isn't gone yet."""
    FOREIGN_POD = "ForeignPod"
    """A pod that is no claim's holds GPUs of its node."""
    PROFILE_CHANGED = "ProfileChanged"
    """MIG, sharing or the product of its node was changed."""
    ACCESS_LOST = "AccessLost"
    """Its kubeconfig is gone and its name is taken by something of somebody else's."""


OF_MENDING: Final = frozenset(
    {Reason.ISOLATION_DEGRADED, Reason.NAMESPACE_TERMINATING, Reason.ACCESS_LOST}
)
"""What only putting a claim right finds; a look at its nodes finds the others."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a claim is told."""

    reason: Reason
    message: str


def worst(findings: tuple[Finding, ...]) -> Finding | None:
    """Return what is said first, with the number of the others; None if there is nothing to say."""
    if not findings:
        return None
    order = list(Reason)
    first, *others = sorted(set(findings), key=lambda f: (order.index(f.reason), f.message))
    more = f" (and {len(others)} more)" if others else ""
    return Finding(first.reason, first.message + more)
