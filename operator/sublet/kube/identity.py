"""Who a cluster is: the UID of its kube-system namespace, which lives as long as the cluster and is nobody else's."""

import re
from typing import Final

import msgspec

from sublet.api.ids import ClusterUID
from sublet.api.names import UID_PATTERN
from sublet.kube.errors import BadAnswer
from sublet.kube.session import ApiServer
from sublet.kube.wire import Named

_UID: Final = re.compile(UID_PATTERN)


class _Namespace(msgspec.Struct):
    """Nothing else of it is read: with each probe a stranger may put anything there."""

    metadata: Named


async def read_cluster_uid(api: ApiServer) -> ClusterUID:
    """Ask a cluster who it is; BadAnswer if its answer is none."""
    found = await api.get_as("/api/v1/namespaces/kube-system", _Namespace)
    uid = found.metadata.uid
    if _UID.fullmatch(uid) is None:
        raise BadAnswer("the cluster doesn't say who it is: kube-system has no UID")
    return ClusterUID(uid)
