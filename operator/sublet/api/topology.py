"""Where a claim's GPUs may be: how close together, how far spread, and under whose law. Part of `GpuClaim`'s spec.

What one object can tell to contradict itself is refused by the API server, with the rules that stand here too.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from sublet.api.common import Word
from sublet.api.gputenant import NameFilter
from sublet.api.schema import ApiModel, Rule, list_set


class Scope(StrEnum):
    """How close together a claim's GPUs must be."""

    NODE = "Node"
    NVLINK_DOMAIN = "NVLinkDomain"
    CLUSTER = "Cluster"
    ANY = "Any"


class Topology(ApiModel):
    """How close together the GPUs must be."""

    scope: Scope = Scope.ANY
    """Node: all GPUs on one node. NVLinkDomain: in one NVLink domain (nodes with one nvidia.com/gpu.clique).
    Cluster: in one leased cluster, over its leases. Any: over several clusters too."""
    required: bool = True
    """True: the scope is a must, and the claim waits for it. False: it is a wish, met where there is a choice."""

    def must_be(self, scope: Scope) -> bool:
        """Say whether this scope is a must."""
        return self.scope is scope and self.required


class Placement(ApiModel):
    """Where the GPUs may be; an empty list allows everything."""

    jurisdictions: Annotated[
        tuple[Word, ...], Field(max_length=16, json_schema_extra=list_set())
    ] = ()
    """Jurisdictions that are allowed, such as EU."""
    regions: Annotated[tuple[Word, ...], Field(max_length=32, json_schema_extra=list_set())] = ()
    """Regions that are allowed."""
    leases: NameFilter = NameFilter()
    """Leases that are allowed, by their tenant alias."""
    max_share_per_provider_percent: Annotated[
        int, Field(ge=1, le=100, json_schema_extra={"format": "int32"})
    ] = 100
    """No landlord provides a larger share of the claim's GPUs than this."""
    min_clusters: Annotated[int, Field(ge=1, le=16, json_schema_extra={"format": "int32"})] = 1
    """At least so many leased clusters provide GPUs of the claim."""

    @property
    def least_nodes(self) -> int:
        """Return the fewest nodes over which GPUs can be spread so."""
        return max(self.min_clusters, -(-100 // self.max_share_per_provider_percent))

    @property
    def is_spread(self) -> bool:
        """Say whether one cluster or one landlord alone can't have all of it."""
        return self.least_nodes > 1


_SCOPE: Final = "self.?topology.?scope.orValue('Any')"
_WISH: Final = "!self.?topology.?required.orValue(true)"
_CLUSTERS: Final = "self.?placement.?minClusters.orValue(1)"
_SHARE: Final = "self.?placement.?maxSharePerProviderPercent.orValue(100)"
_MOST_NODES: Final = "self.gpus / self.?gpusPerNode.orValue(1)"

SPREAD_RULES: Final = (
    Rule(
        f"{_CLUSTERS} < 2 || {_SCOPE} == 'Any' || {_WISH}",
        "minClusters above 1 contradicts a scope within one cluster; use scope Any, or required: false",
        field_path=".placement.minClusters",
    ),
    Rule(
        f"{_SHARE} == 100 || {_SCOPE} != 'Node' || {_WISH}",
        "one node has one provider: a share below 100 percent contradicts scope Node",
        field_path=".placement.maxSharePerProviderPercent",
    ),
    Rule(
        f"{_CLUSTERS} < 2 || {_CLUSTERS} <= {_MOST_NODES}",
        "the claim has fewer nodes than minClusters; ask for more GPUs or fewer clusters",
        field_path=".placement.minClusters",
    ),
    Rule(
        f"{_SHARE} == 100 || {_MOST_NODES} * {_SHARE} >= 100",
        "no provider may have as much as one node of the claim; ask for more GPUs or a larger share",
        field_path=".placement.maxSharePerProviderPercent",
    ),
)
"""On the claim's spec: musts that exclude each other."""
