"""What the leased clusters say of restored leases and claims: nodes' own books, read live with the operator's credentials.

Reads only. A cluster that doesn't answer, or isn't the one that the lease is pinned to, says nothing: its lease and
whatever has nodes there stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID
from sublet.cli.connect import LIMITS, Cluster
from sublet.cli.onboarding.doctor import credential_of
from sublet.cli.onboarding.findings import Finding
from sublet.cli.onboarding.pages import read_all
from sublet.fleet.nodebook import BOOK, LEASE_LABEL, BookError, parse_book
from sublet.kube.errors import KubeError
from sublet.kube.identity import read_cluster_uid
from sublet.kube.session import ApiServer
from sublet.kube.wire import Node


@dataclass(frozen=True, slots=True)
class Possession:
    """One lease's nodes as their cluster shows them."""

    books: Mapping[str, Mapping[ClaimUID, int]] = field(default_factory=dict)
    """node UID -> claim UID -> GPUs"""
    names: Mapping[str, str] = field(default_factory=dict)
    """node UID -> node"""
    unseen: str = ""
    """Why nothing is known."""
    is_lost: bool = False
    """By a person's word the cluster won't come back: nobody waits for what it says."""


async def read_possession(hub: Cluster, lease: GpuLease, uid: str, namespace: str) -> Possession:
    """Return what a lease's nodes say, which carry its UID as it was."""
    try:
        found = await credential_of(hub, lease, namespace)
    except (KubeError, OSError) as error:
        return Possession(unseen=f"there is no credential for it ({type(error).__name__})")
    if isinstance(found, Finding):
        return Possession(unseen=found.text)
    try:
        async with ApiServer(found, LIMITS) as leased:
            live, pinned = await read_cluster_uid(leased), lease.status.cluster_uid
            if pinned not in (None, live):
                return Possession(unseen=f"its kubeconfig leads to cluster {live}, not to {pinned}")
            ours = f"{LEASE_LABEL}={uid}"
            return _read(await read_all(leased, "/api/v1/nodes", Node, label_selector=ours))
    except (KubeError, OSError) as error:
        return Possession(unseen=f"its cluster can't be read ({type(error).__name__})")


def _read(nodes: list[Node]) -> Possession:
    books: dict[str, dict[ClaimUID, int]] = {}
    names: dict[str, str] = {}
    for node in nodes:
        uid = node.metadata.uid
        names[uid] = node.metadata.name
        try:
            entries = parse_book(node.metadata.annotations.get(BOOK, ""))
        except BookError:
            return Possession(unseen=f"the book of node {node.metadata.name} can't be read")
        books[uid] = {entry.claim_uid: entry.gpus for entry in entries}
    return Possession(books, names)
