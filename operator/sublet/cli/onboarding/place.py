"""Which two clusters a command is about: the leased one and the hub, and whether they may be one and the same."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sublet.api.ids import ClusterUID
from sublet.cli.connect import Cluster, connect
from sublet.cli.problems import Problem
from sublet.fleet.credential import HUB_ACCOUNT
from sublet.kube.identity import read_cluster_uid

ACCOUNT: Final = "sublet"


@dataclass(frozen=True, slots=True)
class Place:
    """What the person said of the clusters."""

    context: str
    name: str
    hub_context: str | None
    namespace: str
    in_cluster: bool = False
    """The hub's own nodes are leased."""

    @property
    def account(self) -> str:
        """Return the ServiceAccount that the operator uses in the leased cluster."""
        return HUB_ACCOUNT if self.in_cluster else ACCOUNT

    @property
    def title(self) -> str:
        """Return what errors call the leased cluster."""
        return f"the cluster of context {self.context}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Both clusters, connected and identified."""

    leased: Cluster
    leased_uid: ClusterUID
    hub: Cluster
    hub_uid: ClusterUID


@asynccontextmanager
async def both(place: Place) -> AsyncIterator[Pair]:
    """Yield both clusters; Problem if they are one and nobody said so, or two and somebody did."""
    is_same = place.in_cluster and not place.hub_context
    hub_context = place.context if is_same else place.hub_context
    option = "--context" if is_same else "--hub-context"
    async with (
        connect(place.context, place.title) as leased,
        connect(hub_context, "the hub", option) as hub,
    ):
        leased_uid, hub_uid = await read_cluster_uid(leased), await read_cluster_uid(hub)
        if leased_uid == hub_uid and not place.in_cluster:
            raise Problem(
                f"context {place.context} is the hub itself; a lease needs a cluster of its own: check --context and "
                "--hub-context, or give --in-cluster if the hub's own nodes are leased"
            )
        if leased_uid != hub_uid and place.in_cluster:
            raise Problem(
                f"context {place.context} isn't the hub; check --context and --hub-context, or leave --in-cluster out"
            )
        yield Pair(leased, leased_uid, hub, hub_uid)
