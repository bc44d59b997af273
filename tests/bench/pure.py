"""What needs no control plane: a planning pass and decoding an inventory."""

import resource
import time
from collections.abc import Callable

import msgspec

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Reserve
from sublet.book.inventory import LeaseInventory, NodeState
from sublet.book.plan import plan
from sublet.fleet.inventory import node_state
from sublet.kube.wire import Node
from tests.bench import pure_surge, pure_warm
from tests.bench.results import Row, most
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import carried_out, held, inventory, nodes, view
from tests.builders.nodes import gpu_node

LEASES, NODES, BOUND, PENDING, PROMISES = 10, 12_500, 5_000, 1_000, 50
_DAY_SECONDS = 86_400


Pair = tuple[GpuLease, LeaseInventory]


def measure() -> list[Row]:
    """Return the rows."""
    return [
        *_inventory(),
        *_planning(),
        *pure_surge.measure(),
    ]  # memory first: it is read off the process's peak


def _planning() -> list[Row]:
    """Time a pass over 100,000 GPUs with 5,000 bound and 1,000 pending claims, and one with one new claim."""
    fleet = []
    for index in range(LEASES):
        each = as_lease(lease(f"l{index:02d}", committed=20_000))
        fleet.append((each, inventory(each, nodes(each, NODES // LEASES, zones=("a", "b", "c")))))
    claims = [as_claim(claim(f"c{i:05d}")) for i in range(BOUND + PENDING)]
    by_uid = {c.metadata.uid: c for c in claims}
    for decision in plan(view(claims[:BOUND], fleet)).decisions:
        if isinstance(decision, Reserve):
            by_uid[decision.claim_uid] = carried_out(by_uid[decision.claim_uid], decision)
    bound = [by_uid[c.metadata.uid] for c in claims[:BOUND]]
    bound += _promises(fleet)
    whole = _seconds(lambda: plan(view([*bound, *claims[BOUND:]], fleet)))
    one = _seconds(lambda: plan(view([*bound, claims[BOUND]], fleet)))
    size = f"{NODES:,} nodes, {BOUND:,} bound, {PROMISES} promised"
    warm = pure_warm.measure(
        view([*bound, *claims[BOUND:]], fleet), f"{size}, {PENDING:,} just reserved"
    )
    # every claim's end lies in sight, and nothing is free for the thousand
    full = [
        *bound,
        *(_holding(i, each, found) for i, (each, found) in enumerate(_free(bound, fleet))),
    ]
    blocked = _seconds(lambda: plan(view([*full, *claims[BOUND:]], fleet)))
    block = as_claim(claim("block", gpus=100_000))
    huge = _seconds(lambda: plan(view([*bound, block], fleet)))
    return [
        Row(
            "planning pass",
            whole * 1_000,
            "ms",
            most(1_000),
            f"{size}, {PENDING:,} pending; limit: the budget",
        ),
        Row(
            "planning pass, nothing free",
            blocked * 1_000,
            "ms",
            most(1_000),
            f"{size}, {PENDING:,} pending with estimates and offers; limit: the budget",
        ),
        Row(
            "decision on 100,000 GPUs at once",
            huge * 1_000,
            "ms",
            most(1_000),
            f"{size}; best partial offer, split and what is missing; limit: the budget",
        ),
        Row(
            "pass for one new claim",
            one * 1_000,
            "ms",
            None,
            f"{size}; everything from scratch",
        ),
        *warm,
    ]


def _promises(fleet: list[Pair]) -> list[GpuClaim]:
    """Return claims with windows to come, promised by the book."""
    start = format_instant(Millis(NOW + _DAY_SECONDS * 1_000))
    schedule = {"startTime": start, "durationSeconds": _DAY_SECONDS}
    asked = [as_claim(claim(f"p{i:02d}", gpus=64, schedule=schedule)) for i in range(PROMISES)]
    by_uid = {c.metadata.uid: c for c in asked}
    made = [d for d in plan(view(asked, fleet)).decisions if isinstance(d, Reserve)]
    return [carried_out(by_uid[d.claim_uid], d) for d in made]


def _free(claims: list[GpuClaim], fleet: list[Pair]) -> list[tuple[GpuLease, NodeState]]:
    """Return the nodes that none of these claims holds, each with its lease."""
    taken = {
        p.node_uid for c in claims if c.status.allocation for p in c.status.allocation.placements
    }
    return [
        (each, node)
        for each, found in fleet
        for node in found.nodes.values()
        if node.uid not in taken
    ]


def _holding(index: int, each: GpuLease, node: NodeState) -> GpuClaim:
    """Return a claim that holds one node and ends within some of twelve hours before the promises begin."""
    seconds = 3_600 * (1 + index % 12)
    asked = as_claim(claim(f"f{index:05d}", schedule={"durationSeconds": seconds}))
    return held(asked, each, [node], until_ms=Millis(NOW + seconds * 1_000))


def _inventory() -> list[Row]:
    """Decode and judge 12,500 nodes of 19 KB each, as a relist does."""
    west = as_lease()
    body = gpu_node("n")
    body["status"]["images"] = [
        {"names": [f"registry/image-{i}@sha256:{'0' * 64}"] * 3, "sizeBytes": i} for i in range(50)
    ]
    raw = msgspec.json.encode(body)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    kept = []
    for _ in range(NODES):
        node = msgspec.json.decode(raw, type=Node)
        kept.append((node, node_state(node, west, before=None, foreign_pods=False)))
    took = time.process_time() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1_024
    note = f"{NODES:,} nodes of {len(raw) / 1_000:.0f} KB; limit: the budget"
    return [
        Row("inventory of 12,500 nodes: CPU", took, "s", most(1.0), note),
        Row(
            "inventory of 12,500 nodes: memory",
            grown,
            "MB",
            most(150.0),
            f"{len(kept):,} kept; limit: the budget",
        ),
    ]


def _seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best
