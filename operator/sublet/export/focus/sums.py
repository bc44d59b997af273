"""What must hold between rows: sums, periods that tile, nothing twice and nothing left out. Pure; each fault in one line."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.times import Millis, format_instant, to_millis
from sublet.export.focus.checks import Faults, chosen, different
from sublet.export.focus.contracts import phase_in
from sublet.ledger.entry import EntryKind
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.minor_units import places
from sublet.rating.model import Category

_COMMITTED: Final = frozenset({"used", "unused", "unavailable"})
_BESIDE: Final = frozenset({"beyond_commitment", "rounding"})
_PIECE: Final = (
    "x_LeaseId",
    "x_LeasePhase",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ContractedUnitPrice",
    "ChargeClass",
)
_PART: Final = ("x_LeaseState", "x_GpuMilliseconds", "BilledCost", "EffectiveCost")
OF_WHOLESALE: Final = [*_PIECE, *_PART, "BillingPeriodStart", "BillingPeriodEnd"]
"""The columns that are looked at, so that no others need be read; likewise below."""
OF_CLAIMS: Final = [
    "ResourceId",
    "x_Lease",
    "SkuPriceId",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "x_Category",
    "ChargeClass",
]
OF_INVOICE: Final = [
    "InvoiceDetailId",
    "ChargeCategory",
    "BillingCurrency",
    "InvoiceId",
    "BilledCost",
]
OF_PERIODS: Final = ["InvoiceIssuerName", "BillingPeriodStart", "BillingPeriodEnd"]


def wholesale(table: pa.Table) -> Faults:
    """Yield where used, unused and unavailable don't make up what was bought, or cost something else."""
    pieces: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in chosen(table, OF_WHOLESALE).to_pylist():
        pieces[tuple(row[name] for name in _PIECE)].append(row)
    for (lease, phase, start, *_), rows in pieces.items():
        where = f"lease {lease}, phase {phase}, {start:%Y-%m-%dT%H:%M:%SZ}"
        bought = [r for r in rows if r["x_LeaseState"] == "purchase"]
        parts = [r for r in rows if r["x_LeaseState"] in _COMMITTED]
        direct = [r for r in rows if r["x_LeaseState"] in _BESIDE]
        if not bought:
            direct += parts
        elif len(bought) > 1:
            yield f"{where}: bought {len(bought)} times"
        else:
            quantity = sum(r["x_GpuMilliseconds"] for r in parts)
            if quantity != bought[0]["x_GpuMilliseconds"]:
                yield (
                    f"{where}: used, unused and unavailable are {quantity} GPU-milliseconds, bought are"
                    f" {bought[0]['x_GpuMilliseconds']}"
                )
            cost = sum((r["EffectiveCost"] for r in parts), Decimal(0))
            if cost != bought[0]["BilledCost"]:
                yield f"{where}: costs {cost} where {bought[0]['BilledCost']} was billed"
            for row in parts:
                if row["BilledCost"]:
                    yield f"{where}: {row['x_LeaseState']} is billed beside its purchase"
        for row in direct:
            if row["BilledCost"] != row["EffectiveCost"]:
                yield f"{where}: {row['x_LeaseState']} is billed {row['BilledCost']} and costs {row['EffectiveCost']}"


def commitments(table: pa.Table, contracts: pa.Table, as_of_ms: Millis) -> Faults:
    """Yield where the rows of a phase aren't its GPUs for its time, without a gap, and those of a phase that isn't there."""
    metered: dict[tuple[str, str], dict[tuple[Any, Any], int]] = defaultdict(
        lambda: defaultdict(int)
    )
    """(lease, phase) -> (start, end) -> committed GPU-milliseconds"""
    ends: dict[str, tuple[Any, Any]] = {}  # lease -> its billing period
    for row in chosen(table, OF_WHOLESALE).to_pylist():
        ends[row["x_LeaseId"]] = (row["BillingPeriodStart"], row["BillingPeriodEnd"])
        if row["x_LeaseState"] in _COMMITTED and row["ChargeClass"] is None:
            interval = (row["ChargePeriodStart"], row["ChargePeriodEnd"])
            metered[row["x_LeaseId"], row["x_LeasePhase"]][interval] += row["x_GpuMilliseconds"]
    known = [(each["x_LeaseId"], phase_in(each), each) for each in contracts.to_pylist()]
    for lease, phase in sorted(metered.keys() - {(lease, phase) for lease, phase, _ in known}):
        yield f"lease {lease}: rows count against phase {phase!r}, which Contract Commitment doesn't have"
    for lease, phase, each in known:
        gpus = int(each["ContractCommitmentQuantity"])
        if lease not in ends or not gpus:
            continue
        since = max(to_millis(ends[lease][0]), to_millis(each["ContractCommitmentPeriodStart"]))
        until = min(
            to_millis(ends[lease][1]), to_millis(each["ContractCommitmentPeriodEnd"]), as_of_ms
        )
        where, covered = f"lease {lease}, phase {phase}", 0
        for (start, end), quantity in metered[lease, phase].items():
            length = to_millis(end) - to_millis(start)
            covered += length
            short = gpus * length - quantity
            if short > 0 or (short and not each["x_ExercisedOptions"]):
                yield f"{where}, {start:%Y-%m-%dT%H:%M:%SZ}: {quantity} GPU-milliseconds of {gpus * length} committed"
        if covered != max(0, until - since):
            yield f"{where}: rows cover {covered} ms of {max(0, until - since)}"


def invoice(table: pa.Table, details: pa.Table) -> Faults:
    """Yield where the rows of an invoice line don't add up to it, or stand on another kind of line."""
    lines = {row["InvoiceDetailId"]: row for row in details.to_pylist()}
    if len(lines) != details.num_rows:
        yield "an InvoiceDetailId stands twice in Invoice Detail"
    names = OF_INVOICE[:4]
    rows = chosen(table, OF_INVOICE).group_by(names)
    summed = rows.aggregate([("BilledCost", "sum"), ([], "count_all")]).to_pylist()
    seen = set()
    for row in summed:
        line = lines.get(row["InvoiceDetailId"])
        if line is None:
            yield f"rows stand on line {row['InvoiceDetailId']}, which Invoice Detail doesn't have"
            continue
        seen.add(row["InvoiceDetailId"])
        yield from (
            f"line {row['InvoiceDetailId']} says {name} {line[name]}, its rows {row[name]}"
            for name in names
            if line[name] != row[name]
        )
        room = Decimal(row["count_all"]).scaleb(-17)
        if abs(row["BilledCost_sum"] - line["x_ExactCost"]) > room:
            yield f"line {row['InvoiceDetailId']} is {line['x_ExactCost']}, its rows are {row['BilledCost_sum']}"
        half = Decimal(5).scaleb(-places(line["BillingCurrency"]) - 1)
        if abs(line["BilledCost"] - line["x_ExactCost"]) > half:
            yield f"line {row['InvoiceDetailId']} is billed {line['BilledCost']} of {line['x_ExactCost']}"
    yield from (f"line {name} has no rows" for name in sorted(set(lines) - seen))


def overlaps(table: pa.Table) -> Faults:
    """Yield claims that are charged twice for use of one lease at one price in the same time."""
    names = OF_CLAIMS[:5]
    use = pc.and_(
        pc.equal(table.column("x_Category"), Category.USE.value),
        pc.is_null(table.column("ChargeClass")),
    )
    ordered = chosen(table, names).filter(use).sort_by([(n, "ascending") for n in names])
    if ordered.num_rows <= 1:
        return
    before, after = ordered.slice(0, ordered.num_rows - 1), ordered.slice(1)
    hit = pc.less(after.column("ChargePeriodStart"), before.column("ChargePeriodEnd"))
    for name in names[:3]:
        hit = pc.and_(hit, pc.equal(after.column(name), before.column(name)))
    for row in after.filter(pc.fill_null(hit, fill_value=False)).to_pylist():
        yield f"claim {row['ResourceId']} is charged twice from {row['ChargePeriodStart']:%Y-%m-%dT%H:%M:%SZ}"


def periods(table: pa.Table, billing: pa.Table) -> Faults:
    """Yield billing periods of rows that Billing Period doesn't have."""
    known = {key for key, _ in different(billing, OF_PERIODS)}
    for (issuer, start, end), count in different(table, OF_PERIODS):
        if (issuer, start, end) not in known:
            yield f"{count} rows stand in a period of {issuer} from {start} to {end}, which Billing Period doesn't have"


def tiles(spans: Iterable[Span]) -> Faults:
    """Yield where billing periods that follow each other leave a gap or overlap."""
    ordered = sorted(set(spans))
    for before, after in pairwise(ordered):
        if before.to_ms != after.from_ms:
            what = "a gap" if before.to_ms < after.from_ms else "an overlap"
            yield f"{what} between {format_instant(before.to_ms)} and {format_instant(after.from_ms)}"


def ledger(
    table: pa.Table, books: Books, tenant_uid: TenantUID, span: Span, as_of_ms: Millis
) -> Faults:
    """Yield claims whose use in the file isn't what the ledger's intervals come to: a row lost, doubled or cut."""
    until = Millis(min(span.to_ms, as_of_ms))
    metered: dict[str, int] = defaultdict(int)
    for each in books.intervals(EntryKind.BOUND):
        if each.interval.tenant_uid == tenant_uid:
            metered[each.interval.claim_uid] += each.interval.gpu_milliseconds(span.from_ms, until)
    filed = _filed(table)
    for claim in sorted({*metered, *filed}):
        if metered[claim] != filed.get(ClaimUID(claim), 0):
            yield (
                f"claim {claim} held {metered[claim]} GPU-milliseconds by the ledger, the file has"
                f" {filed.get(ClaimUID(claim), 0)}"
            )


def _filed(table: pa.Table) -> Mapping[ClaimUID, int]:
    use = pc.and_(
        pc.equal(table.column("x_Category"), Category.USE.value),
        pc.is_null(table.column("ChargeClass")),
    )
    rows = chosen(table, ["ResourceId", "x_GpuMilliseconds"]).filter(use)
    summed = rows.group_by("ResourceId").aggregate([("x_GpuMilliseconds", "sum")])
    return {ClaimUID(r["ResourceId"]): int(r["x_GpuMilliseconds_sum"]) for r in summed.to_pylist()}
