"""One new claim on a warm book: the fleet stands still but for what the book itself decided before."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

from sublet.api import claim_status
from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, TenantUID
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Plan, Refuse, Reserve
from sublet.book.inventory import Holding, LeaseInventory
from sublet.book.view import View
from sublet.book.warm import Book
from tests.bench.results import Row, most
from tests.builders.api import NOW, as_claim, claim
from tests.builders.fleet import after

NEWCOMERS = 25
_APART_MS = 20
_LIMIT_MS = 5.0


def measure(seen: View, size: str) -> list[Row]:
    """Time new claims one after another, each bound before the next but one comes, and then new ones that must wait."""
    seen, book = _settled(seen)
    given: list[float] = []
    last: list[str] = []
    for number in range(NEWCOMERS):
        seen, made, took = _come(book, seen, f"new-{number:02d}", gpus=8)
        assert not book.is_full
        assert [type(d) for d in made.decisions] == [Reserve]
        given.append(took)
        seen = after(seen, made)
        seen = _bound(seen, last)
        last = [made.decisions[0].claim_uid]
    blocked = tuple(_claim(f"blocked-{i:04d}", gpus=90_000) for i in range(1_000))
    seen, book = _settled(replace(seen, claims=(*seen.claims, *blocked)))
    refused: list[float] = []
    for number in range(NEWCOMERS):
        seen, made, took = _come(book, seen, f"zz-{number:02d}", gpus=90_000)
        assert not book.is_full
        assert [type(d) for d in made.decisions] == [Refuse]
        refused.append(took)
    return [
        Row(
            "one new claim on a warm book",
            1_000 * statistics.median(given),
            "ms",
            most(_LIMIT_MS),
            f"{size}; median of {NEWCOMERS}, each given GPUs; the slowest {1_000 * max(given):.1f}; limit: the budget",
        ),
        Row(
            "one new claim behind 1,000 that wait",
            1_000 * statistics.median(refused),
            "ms",
            most(_LIMIT_MS),
            f"{size}; median of {NEWCOMERS}, each refused with its position; the slowest {1_000 * max(refused):.1f}",
        ),
    ]


def _settled(seen: View) -> tuple[View, Book]:
    """Return a view in which all that a full pass decided is carried out, and the book that decided it."""
    book = Book()
    made = book.plan(seen)
    while any(isinstance(d, Reserve) for d in made.decisions):
        seen = after(seen, made)
        made = book.plan(seen)
    book.plan(seen)
    return seen, book


def _come(book: Book, seen: View, name: str, *, gpus: int) -> tuple[View, Plan, float]:
    """Return the view with a new claim, its plan and the seconds that planning took."""
    now = Millis(seen.now_ms + _APART_MS)
    seen = replace(seen, claims=(*seen.claims, _claim(name, gpus=gpus, created_ms=now)), now_ms=now)
    begun = time.perf_counter()
    made = book.plan(seen)
    return seen, made, time.perf_counter() - begun


def _claim(name: str, *, gpus: int, created_ms: Millis = NOW) -> GpuClaim:
    return as_claim(claim(name, gpus=gpus), creationTimestamp=format_instant(created_ms))


def _bound(seen: View, uids: Sequence[str]) -> View:
    """Return the view with these claims bound: their own statuses and their nodes' books say so."""
    claims = tuple(_as_bound(c) if c.metadata.uid in uids else c for c in seen.claims)
    inventories = dict(seen.inventories)
    for each in claims:
        if each.metadata.uid in uids and (held := each.status.allocation) is not None:
            for place in held.placements:
                uid = LeaseUID(place.lease_uid)
                entry = Holding(ClaimUID(each.metadata.uid), place.gpus)
                inventories[uid] = _booked(
                    inventories[uid], NodeName(place.node), entry, TenantUID(held.tenant_uid)
                )
    return replace(seen, claims=claims, inventories=inventories)


def _as_bound(each: GpuClaim) -> GpuClaim:
    clusters = (ClusterAccess(alias="l00", namespace="x", expiration_time=Millis(NOW)),)
    access = Access(secret_name="gpus", clusters=clusters)
    return each.model_copy(update={"status": claim_status.bound(each, NOW, access, NOW)})


def _booked(
    found: LeaseInventory, name: NodeName, entry: Holding, tenant: TenantUID
) -> LeaseInventory:
    node = replace(found.nodes[name], holdings=(entry,), tenant_uid=tenant)
    return replace(found, generation=found.generation + 1, nodes={**found.nodes, name: node})
