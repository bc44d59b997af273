"""The nodes of one lease on which foreign pods were seen, or whose pods are still to be looked at.

Written through the lease's connection by whoever has looked at pods live; read by the connection when it judges a node. The
registry keeps it from one connection to the next: a new credential, another selector or one 401 says nothing of pods. It
is no proof: before a node is handed over its pods are looked at again.
"""

from collections.abc import Container
from typing import Final

from sublet.api.ids import ClusterUID, NodeName

MOST_FOREIGN: Final = 20_000
"""More than the largest cluster has; one that never shows a whole list could show new names with every connection."""


class ForeignNodes:
    """Names of nodes in the cluster that a lease leads to."""

    def __init__(self) -> None:
        self._cluster_uid: ClusterUID | None = None
        self._names: dict[NodeName, None] = {}  # oldest first

    def __contains__(self, name: NodeName) -> bool:
        """Say whether foreign pods were seen on a node, or its pods still have to be looked at."""
        return name in self._names

    def begin(self, cluster_uid: ClusterUID | None) -> None:
        """Go on in this cluster; what another one showed says nothing of it."""
        if cluster_uid != self._cluster_uid:
            self._names.clear()
            self._cluster_uid = cluster_uid

    def note(self, name: NodeName, *, foreign: bool) -> bool:
        """Remember what a look showed; return whether that is new."""
        if foreign == (name in self._names):
            return False
        if foreign:
            self._names[name] = None
            if len(self._names) > MOST_FOREIGN:
                del self._names[next(iter(self._names))]
        else:
            del self._names[name]
        return True

    def keep(self, there: Container[NodeName]) -> None:
        """Forget the nodes that aren't there any more."""
        for name in [n for n in self._names if n not in there]:
            del self._names[name]
