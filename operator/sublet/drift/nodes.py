"""Puts a node's marks back: looked at live, judged, written under tests of the node's UID and its book as read.

A claim's entry or the lease's mark that is gone is put back only while the claim is bound by a live read of the hub, hasn't
ended by the ledger, and no foreign pod holds the node's GPUs.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import NodeName
from sublet.binder.locks import node_path
from sublet.binder.nodes import foreign_pods
from sublet.binder.ports import Tools
from sublet.binder.sites import may_be_at
from sublet.drift.claims import holdings_of
from sublet.drift.marks import Holder, Verdict, judge
from sublet.drift.outlived import OUTLIVED, Outlived
from sublet.fleet.cluster import LeasedCluster
from sublet.kube.errors import Conflict, Forbidden, Invalid, NotFound
from sublet.kube.wire import Node
from sublet.logs import log_about


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one node."""

    doubt: str = ""
    is_foreign: bool = False
    is_mended: bool = False


async def mend_node(
    cluster: LeasedCluster,
    lease: GpuLease,
    name: NodeName,
    claims: Collection[GpuClaim],
    tools: Tools,
    outlived: Outlived,
) -> Outcome:
    """Look at one node live and put back what is gone; `claims`: those that have it as last seen.

    Raises the errors of both APIs but those that say that something changed meanwhile: the next look sees it.
    """
    try:
        node = await cluster.api.get_as(node_path(name), Node)
    except NotFound:
        return Outcome()
    cluster.observe(node)
    holders = await _holders_now(claims, cluster, node, tools)
    verdict = judge(node, lease, holders)
    if verdict.doubt or not verdict.patches:
        return Outcome(doubt=verdict.doubt)
    if verdict.relocks and await outlived.among(claims):
        return Outcome(doubt=OUTLIVED)
    at_home = [h.claim_uid for h in holders]
    if verdict.relocks and await foreign_pods(cluster, node, at_home):
        cluster.note_foreign(name, foreign=True)
        return Outcome(is_foreign=True)
    return await _put_back(cluster, node, verdict)


async def _put_back(cluster: LeasedCluster, node: Node, verdict: Verdict) -> Outcome:
    name = node.metadata.name
    try:
        for patch in verdict.patches:
            cluster.observe(await cluster.api.patch_as(node_path(name), patch, Node))
    except (Conflict, NotFound):
        return Outcome()
    except (Forbidden, Invalid) as error:
        # the belt's message may show other claims, so it goes to the log alone
        log = log_about(lease=cluster.lease)
        log.warning("node not mended", node=name, error=error.message)
        # where a test failed, as the node changed meanwhile, the next look finds nothing to doubt
        who = "cluster's policies refuse" if isinstance(error, Forbidden) else "cluster refuses"
        return Outcome(doubt=f"the {who} to put its marks back")
    log_about(lease=cluster.lease).warning("node mended", node=name)
    return Outcome(is_mended=True)


async def _holders_now(
    claims: Collection[GpuClaim], cluster: LeasedCluster, node: Node, tools: Tools
) -> list[Holder]:
    """Return who has the node by a live read of each claim: a release that is under way takes its entry off."""
    at = cluster.facts.cluster_uid
    found: list[Holder] = []
    for claim in claims:
        live = await tools.claims.get(claim)
        if live is not None and live.status.allocation is not None:
            found += [
                holder
                for holder, place in holdings_of(live)
                if place.node_uid == node.metadata.uid
                and (at is None or may_be_at(place, at, tools.lease))
            ]
    return found
