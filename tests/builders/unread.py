"""Objects as an API server shows them once something was written into them that it takes and we can't read."""

from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from tests.builders.restored import Body, on_the_wire

INSTANT = "2026-12-01T00:00:00x5Z"
"""Kubernetes' pattern of date-time lets any character stand before the fraction."""


def unread(claim: GpuClaim, version: str = "999", **meta: Any) -> Body:
    """Return the claim after its start was made unreadable."""
    body = on_the_wire(claim)
    spec = {**body["spec"], "schedule": {**body["spec"].get("schedule", {}), "startTime": INSTANT}}
    stamp = {"resourceVersion": version, "generation": claim.metadata.generation + 1, **meta}
    return {**body, "metadata": {**body["metadata"], **stamp}, "spec": spec}


def unread_lease(lease: GpuLease, version: str = "999") -> Body:
    """Return the lease after the start of its term was made unreadable."""
    body = on_the_wire(lease, "GpuLease")
    meta = {
        **body["metadata"],
        "resourceVersion": version,
        "generation": lease.metadata.generation + 1,
    }
    term = {**body["spec"]["term"], "startTime": INSTANT}
    return {**body, "metadata": meta, "spec": {**body["spec"], "term": term}}


def unread_tenant(tenant: GpuTenant, version: str = "999") -> Body:
    """Return the tenant after it was suspended in words that nobody can read."""
    body = on_the_wire(tenant, "GpuTenant")
    meta = {
        **body["metadata"],
        "resourceVersion": version,
        "generation": tenant.metadata.generation + 1,
    }
    return {**body, "metadata": meta, "spec": {**body["spec"], "suspended": "perhaps"}}


def senseless(claim: GpuClaim, version: str = "999") -> Body:
    """Return the claim with a status of which nobody can tell what it holds."""
    body = on_the_wire(claim)
    meta = {**body["metadata"], "resourceVersion": version}
    return {**body, "metadata": meta, "status": {**body["status"], "usedMilliseconds": "much"}}


def waits_by_newer(claim: GpuClaim, version: str = "999") -> Body:
    """Return a claim that waits for a reason, with an offer, that only a newer version knows."""
    body = on_the_wire(claim)
    status = {
        **body["status"],
        "pending": {"reason": "WaitingForPower", "message": "the lights are out"},
        "offers": [{"change": "Cooler", "className": "h100", "gpus": 1}],
    }
    return {
        **body,
        "metadata": {**body["metadata"], "resourceVersion": version},
        "status": status,
    }


def holds_by_newer(claim: GpuClaim, version: str = "999") -> Body:
    """Return a claim that holds GPUs to an end that only a newer version knows."""
    body = on_the_wire(claim)
    allocation = {**body["status"]["allocation"], "untilCause": "QuotaExpired"}
    return {
        **body,
        "metadata": {**body["metadata"], "resourceVersion": version},
        "status": {**body["status"], "allocation": allocation},
    }
