"""`sublet top`: the pool at a glance: leases with their counts, claims with their state. Reads objects only."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from sublet.api.kinds import CLAIMS, LEASES, Kind
from sublet.api.times import Millis, format_instant, parse_instant
from sublet.cli.choices import Format
from sublet.cli.connect import Cluster, connect, run
from sublet.cli.objects import PAGE_SIZE, bare, by_key, list_raw
from sublet.cli.output import show_data, show_table
from sublet.cli.overview import Booking, Claim, Lease, Node
from sublet.cli.problems import Problem
from sublet.cli.watching import Picture, watch
from sublet.clock import SystemClock
from sublet.kube.hub_lists import MOST_PAGES
from sublet.kube.paging import items

S = TypeVar("S", Claim, Lease)

LEASE_COLUMNS = ("lease", "product", "committed", "delivered", "bound", "reserved", "free", "ready")
LEASE_WIDE = ("provider", "region", "price", "healthy", "ends", "kubernetes")
CLAIM_COLUMNS = ("namespace", "claim", "class", "gpus", "state", "where", "until")
CLAIM_WIDE = ("tenant", "price", "billed-since", "nodes")
_WAITING: Final = "Waiting"


def command(context: str | None, output: Format, every_seconds: float | None) -> None:
    """Read all leases and claims and show them, once or again and again."""
    wide = output is Format.WIDE

    async def work() -> None:
        if every_seconds is not None and output not in (Format.TABLE, Format.WIDE):
            raise Problem("--watch shows tables; leave it out, or give -o table or wide")
        async with connect(context) as hub:
            if every_seconds is not None:
                await watch(lambda: _picture(hub, wide=wide), every_seconds, what="the pool")
            if output.is_data:
                show_data(await read_data(hub), output)
            else:
                show(*await read(hub), wide=wide)

    run(work, what="the pool")


async def read(hub: Cluster) -> tuple[list[Lease], list[Claim]]:
    """Read what the tables show of all leases and claims."""
    return await _list(hub, LEASES, Lease), await _list(hub, CLAIMS, Claim)


async def read_data(hub: Cluster) -> dict[str, list[dict[str, Any]]]:
    """Read all leases and claims, whole."""
    leases, claims = await list_raw(hub, LEASES.path()), await list_raw(hub, CLAIMS.path())
    return {
        "leases": sorted(map(bare, leases), key=by_key),
        "claims": sorted(map(bare, claims), key=by_key),
    }


async def _list(hub: Cluster, kind: Kind, type_: type[S]) -> list[S]:
    found = [
        each async for each in items(hub, kind.path(), type_, most=MOST_PAGES, limit=PAGE_SIZE)
    ]
    return sorted(found, key=lambda each: (each.metadata.namespace, each.metadata.name))


def show(leases: Sequence[Lease], claims: Sequence[Claim], *, wide: bool) -> None:
    """Print both tables."""
    show_leases(leases, SystemClock().now_ms(), wide=wide)
    print()
    show_claims(claims, wide=wide)


async def _picture(hub: Cluster, *, wide: bool) -> Picture:
    leases, claims = await read(hub)
    return lambda: show(leases, claims, wide=wide)


def show_leases(leases: Sequence[Lease], now_ms: Millis, *, wide: bool = False) -> None:
    """Print one line per lease; `wide` adds what the contract says."""
    columns = (*LEASE_COLUMNS, *(LEASE_WIDE if wide else ()))
    show_table(
        columns, [(*_lease_row(x), *(_lease_wide(x, now_ms) if wide else ())) for x in leases]
    )


def show_claims(claims: Sequence[Claim], *, wide: bool = False) -> None:
    """Print one line per claim; `wide` adds who pays how much for what."""
    columns = (*CLAIM_COLUMNS, *(CLAIM_WIDE if wide else ()))
    show_table(columns, [(*_claim_row(x), *(_claim_wide(x) if wide else ())) for x in claims])


def _lease_row(lease: Lease) -> tuple[object, ...]:
    counts = lease.status.inventory
    ready = next((c for c in lease.status.conditions if c.type == "Ready"), None)
    state = "Unknown" if ready is None else ready.status
    if ready is not None and ready.status != "True":
        state = f"{ready.status} ({ready.reason})"
    if counts is None:
        return (lease.metadata.name, lease.spec.product, *("?" for _ in range(5)), state)
    return (
        lease.metadata.name,
        lease.spec.product,
        counts.committed,
        counts.delivered,
        counts.bound,
        counts.reserved,
        counts.free,
        state,
    )


def _lease_wide(lease: Lease, now_ms: Millis) -> tuple[object, ...]:
    spec, counts = lease.spec, lease.status.inventory
    dated = [(parse_instant(p.effective_time), p.per_gpu_hour) for p in reversed(spec.prices)]
    # of two of one instant the last one holds, as in the bill
    price = max((p for p in dated if p[0] <= now_ms), key=lambda p: p[0], default=None)
    return (
        spec.provider,
        spec.location.region,
        f"{price[1]} {spec.currency}" if price is not None else "",
        counts.healthy if counts else "?",
        _instant(spec.term.end_time),
        lease.status.kubernetes_version,
    )


def _claim_wide(claim: Claim) -> tuple[object, ...]:
    held = claim.held
    if held is None:
        return ("",) * len(CLAIM_WIDE)
    return (
        held.tenant,
        f"{held.price_per_gpu_hour} {held.currency}",
        _instant(held.bound_time),
        ", ".join(claim.nodes),
    )


def _claim_row(claim: Claim) -> tuple[object, ...]:
    held, pending = claim.held, claim.status.pending
    places: Iterable[Node | Booking] = (held.placements or held.bookings) if held else ()
    return (
        claim.metadata.namespace,
        claim.metadata.name,
        claim.spec.class_name,
        claim.spec.gpus,
        state_of(claim.status.conditions, pending.reason if pending else _WAITING),
        ", ".join(sorted({p.lease for p in places})),
        _instant(held.until_time if held else None),
    )


def _instant(text: str | None) -> str:
    """Return an instant as all instants are shown, however it was written."""
    return format_instant(parse_instant(text)) if text else ""


class _Said(Protocol):
    """A condition, of a model or of the overview."""

    @property
    def type(self) -> str: ...
    @property
    def status(self) -> str: ...


def state_of(conditions: Iterable[_Said], waiting: str = _WAITING) -> str:
    """Return the one word that says where a claim stands; `waiting`: if it holds nothing and has not ended."""
    true = {c.type for c in conditions if c.status == "True"}
    for type_ in ("Ended", "Releasing", "Bound", "Reserved"):
        if type_ in true:
            return type_
    return waiting
