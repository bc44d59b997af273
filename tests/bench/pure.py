"""What needs no control plane: a planning pass, decoding an inventory, the ledger's appends."""

import asyncio
import resource
import tempfile
import time
from pathlib import Path

import msgspec

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.book.decisions import Reserve
from sublet.book.plan import plan
from sublet.fleet.inventory import node_state
from sublet.kube.wire import Node
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.store.sql import SqlLedger
from tests.bench.results import Row
from tests.builders.api import as_claim, as_lease, claim, lease, uid_of
from tests.builders.fleet import carried_out, inventory, nodes, view
from tests.builders.nodes import gpu_node

LEASES, NODES, BOUND, PENDING = 10, 12_500, 5_000, 1_000


def measure() -> list[Row]:
    """Return the rows."""
    return [
        *_inventory(),
        *_planning(),
        _ledger(),
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
    held = [by_uid[c.metadata.uid] for c in claims[:BOUND]]
    whole = _seconds(lambda: plan(view([*held, *claims[BOUND:]], fleet)))
    one = _seconds(lambda: plan(view([*held, claims[BOUND]], fleet)))
    size = f"{NODES:,} nodes, {BOUND:,} bound"
    return [
        Row(
            "planning pass",
            whole * 1_000,
            "ms",
            1_000,
            f"{size}, {PENDING:,} pending; limit: the budget",
        ),
        Row(
            "pass for one new claim",
            one * 1_000,
            "ms",
            None,
            f"{size}; from scratch, no warm book yet",
        ),
    ]


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
        Row("inventory of 12,500 nodes: CPU", took, "s", 1.0, note),
        Row(
            "inventory of 12,500 nodes: memory",
            grown,
            "MB",
            150.0,
            f"{len(kept):,} kept; limit: the budget",
        ),
    ]


def _ledger() -> Row:
    """Append lines durably, many callers at once."""
    count = 2_000

    async def run(folder: str) -> float:
        ledger = SqlLedger(f"sqlite:///{Path(folder)}/ledger.sqlite")
        await ledger.start()
        facts = [
            Fact(ClaimUID(uid_of(str(i))), 1, TenantUID("t"), LeaseUID("l"), EntryKind.BOUND, EntryType.OPEN, 8, Millis(i), "p", "g", "1")
            for i in range(count)
        ]  # fmt: skip
        begun = time.perf_counter()
        await asyncio.gather(*(ledger.append([f], {}) for f in facts))
        took = time.perf_counter() - begun
        await ledger.close()
        return count / took

    with tempfile.TemporaryDirectory() as folder:
        rate = asyncio.run(run(folder))
    return Row("ledger lines appended", rate, "1/s", None, "SQLite, synchronous FULL, group commit")


def _seconds(work: object) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        work()  # type: ignore[operator]
        best = min(best, time.perf_counter() - begun)
    return best
