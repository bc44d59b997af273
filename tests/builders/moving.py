"""Claims that are to have other nodes of their cluster, and what stands for hub, ledger and clusters while they are."""

from types import SimpleNamespace
from typing import Any

from sublet.api import claim_status, move_status
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.relocation import Move, MoveCause, PlacedNode
from sublet.binder.claims import Outrun
from sublet.ledger.port import LedgerUnavailable
from tests.builders.api import NOW, uid_of, with_status
from tests.builders.clusters import CLUSTER, Endings, Hub, LiveNodes, tools_of
from tests.builders.moves import leased, let_in, running
from tests.builders.windows import at
from tests.builders.wire import our_node

LABEL = "landlord.example/clean"


def west(**term: Any):
    """Return a lease whose cluster is pinned, with this said of its nodes' rest."""
    each, found = leased("west", term=term)
    status = each.status.model_copy(update={"cluster_uid": CLUSTER})
    return each.model_copy(update={"status": status}), found


PLAIN, RESTING, WIPING = west(), west(quarantineSeconds=60), west(cleanLabel=LABEL)
UID = running(PLAIN).metadata.uid
OLD = "west-0000"


class Kept(Hub):
    """A hub that keeps what is written, and refuses what was decided on an older state."""

    def __init__(self, live: GpuClaim, log: list[str] | None = None) -> None:
        super().__init__(live)
        self.log = log if log is not None else []

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        if self.live is None or claim.status != self.live.status:
            raise Outrun("409")
        self.live = with_status(self.live, status)
        self.log.append("HUB")
        return self.live


class Ledger(Endings):
    """A ledger that knows of one intent, or is away when it is asked for it."""

    def __init__(self, intended: bool | None) -> None:
        super().__init__()
        self._intended = intended

    async def was_intended(self, claim_uid: str, sequence: int) -> bool:
        if self._intended is None:
            raise LedgerUnavailable("away")
        return self._intended and (claim_uid, sequence) == (UID, 1)


def tools(
    hub: Hub, api: LiveNodes, pair=PLAIN, *, now_ms: int = NOW, intended: bool | None = False
) -> Any:
    """Return the tools of an operator whose ledger knows of an intent for the claim, doesn't, or is away (None)."""
    uid = pair[0].metadata.uid
    found = tools_of(hub, {uid: pair[0]}, {uid: api})
    found.clock = SimpleNamespace(now_ms=lambda: now_ms, monotonic=lambda: 0.0)
    found.ledger = Ledger(intended)
    return found


def moving(pair=PLAIN) -> GpuClaim:
    """Return a bound claim that is to have another node of the cluster in the place of its own."""
    busy = let_in(running(pair), "west")
    (place,) = claim_status.allocation_of(busy).placements
    (*_, other) = pair[1].nodes.values()
    fresh = place.model_copy(update={"node": other.name, "node_uid": other.uid, "home": 1})
    move = Move(sequence=2, cause=MoveCause.NODE_FAILED, decided_time=at(1), placements=(fresh,))
    return with_status(busy, move_status.moving(busy, move, at(1)))


def opened(claim: GpuClaim) -> GpuClaim:
    """Return the claim once its move is open."""
    return with_status(claim, move_status.opened(claim, at(2)))


def fresh_of(claim: GpuClaim) -> PlacedNode:
    """Return the node that the claim is to have."""
    (place,) = move_status.move_of(claim).placements
    return place


def locked(claim: GpuClaim, place: PlacedNode, label: str | None = None) -> dict[str, Any]:
    """Return a node that has the claim's entry, by path."""
    node = our_node(WIPING[0], f"{claim.metadata.uid}={place.gpus}", uid_of("acme"))
    node.metadata.name, node.metadata.uid = place.node, place.node_uid
    node.metadata.annotations["sublet.dev/node"] = place.node_uid
    node.metadata.labels |= {LABEL: label} if label is not None else {}
    return {f"/api/v1/nodes/{place.node}": node}


class Noted(LiveNodes):
    """A cluster whose requests are in one log with the hub's writes."""

    def __init__(self, *args: Any, log: list[str]) -> None:
        super().__init__(*args)
        self.log = log
        self.gpus: list[str] = []
        """Of each quota."""

    async def create(self, path: str, _: Any, **__: Any) -> dict[str, Any]:
        self.log.append("CREATE")
        return {}

    async def apply(self, path: str, body: Any) -> None:
        self.log.append("APPLY")
        if body["kind"] == "ResourceQuota":
            self.gpus.append(body["spec"]["hard"]["requests.nvidia.com/gpu"])
