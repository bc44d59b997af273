"""Who a cluster is: the UID of its kube-system namespace, which lives as long as the cluster and is nobody else's."""

from typing import Any

from sublet.api.ids import ClusterUID
from sublet.kube.errors import Unreachable
from sublet.kube.session import ApiServer


async def read_cluster_uid(api: ApiServer) -> ClusterUID:
    """Ask a cluster who it is; Unreachable if its answer is none."""
    kube_system: dict[str, Any] = await api.get("/api/v1/namespaces/kube-system")
    uid = (kube_system.get("metadata") or {}).get("uid")
    if not isinstance(uid, str) or not uid:
        raise Unreachable("the cluster doesn't say who it is: kube-system has no UID")
    return ClusterUID(uid)
