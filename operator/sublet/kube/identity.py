"""Who a cluster is: the UID of its kube-system namespace, which lives as long as the cluster and is nobody else's."""

import re
from typing import Final

from sublet.api.ids import ClusterUID
from sublet.api.names import UID_PATTERN
from sublet.kube.errors import BadAnswer
from sublet.kube.session import ApiServer

_UID: Final = re.compile(UID_PATTERN)


async def read_cluster_uid(api: ApiServer) -> ClusterUID:
    """Ask a cluster who it is; BadAnswer if its answer is none."""
    meta = (await api.get("/api/v1/namespaces/kube-system")).get("metadata")
    uid = meta.get("uid") if isinstance(meta, dict) else None
    if not isinstance(uid, str) or _UID.fullmatch(uid) is None:
        raise BadAnswer("the cluster doesn't say who it is: kube-system has no UID")
    return ClusterUID(uid)
