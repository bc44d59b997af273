"""Which cluster a lease is for, and what is wrong if another one answers. Pure.

Once the operator has written `status.clusterUID` that is the one, for good: claims were bound there, and of their nodes no
other cluster can say anything. Before that it is the one that the spec names, if it names one.
"""

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID


def other_pin(lease: GpuLease, uid: str, seen: str | None = None) -> str | None:
    """Return the UID that the lease's cluster must have, if it isn't this one; None if it may be.

    `seen`: who it was when it was asked before; the status may not have been written yet.
    """
    pins = (lease.status.cluster_uid or seen, lease.spec.cluster_ref.cluster_uid)
    return next((pin for pin in pins if pin not in (None, uid)), None)


def pin_fault(lease: GpuLease, uid: ClusterUID, seen: ClusterUID | None = None) -> str | None:
    """Say what is wrong, and what to do, if a cluster of this UID answers for a lease; None if it is the right one."""
    pin = other_pin(lease, uid, seen)
    if pin is None:
        return None
    text = f"the kubeconfig leads to cluster {uid}, but the lease is pinned to {pin}"
    if pin != (lease.status.cluster_uid or seen):
        return f"{text} by clusterRef.clusterUID; mend the one that is wrong"
    return (
        f"{text}, the cluster that it was connected to first; mend the kubeconfig. A cluster that was made anew needs a new "
        "lease; if the old one will not come back, say so of this lease in spec.lost"
    )
