"""Whether a leased cluster is the one in which a lease's claims were bound, asked live.

Asked after what a cluster doesn't show: that nothing is left there is believed of no other. It counts what the lease
recorded when it was connected first, not only who the connection took the cluster for when it was made.
"""

from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.pin import other_pin
from sublet.kube.errors import Unreachable
from sublet.kube.identity import read_cluster_uid


async def confirm(cluster: LeasedCluster) -> None:
    """See that this is the lease's cluster, and the one that was confirmed; Unreachable if it isn't."""
    uid, seen = await read_cluster_uid(cluster.api), cluster.facts.cluster_uid
    if uid != seen or other_pin(cluster.lease, uid) is not None:
        raise Unreachable("the kubeconfig leads to another cluster than the lease's")
