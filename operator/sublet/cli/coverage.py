"""`sublet coverage`: what each lease has committed, used, unsold and uncovered at an instant, and its money per hour.

For the platform team. Reads objects only: of a past instant it knows claims that still exist, the ledger knows all.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import CLAIMS, CLASSES, LEASES
from sublet.api.times import Millis, format_instant, parse_instant
from sublet.api.wording import how_many
from sublet.book.coverage import LeaseCoverage, coverage
from sublet.book.options import open_options, waiting_gpus
from sublet.book.view import View
from sublet.cli.choices import Format
from sublet.cli.connect import connect, run
from sublet.cli.objects import list_all
from sublet.cli.output import show_data, show_table
from sublet.cli.problems import Problem
from sublet.clock import SystemClock
from sublet.pages.money import percent

COLUMNS = ("lease", "committed", "used", "unsold", "uncovered", "revenue/h", "cost/h", "margin/h")
WIDE = ("break-even", "maintenance", "uncovered-claims", "why-no-margin")


def command(at: str | None, context: str | None, output: Format) -> None:
    """Read the hub and show the coverage at an instant."""

    async def work() -> None:
        now_ms = SystemClock().now_ms()
        at_ms = parse_at(at, now_ms)
        async with connect(context) as hub:
            leases = await list_all(hub, LEASES, GpuLease)
            claims = await list_all(hub, CLAIMS, GpuClaim)
            classes = await list_all(hub, CLASSES, GpuClass)
        found = look(leases, claims, at_ms, now_ms, classes)
        if not show_data(found, output):
            show_coverage(found, wide=output is Format.WIDE)

    run(work, what="the pool")


def parse_at(text: str | None, now_ms: Millis) -> Millis:
    """Return the instant that a person means; now by default."""
    try:
        return parse_instant(text) if text else now_ms
    except ValueError as error:
        raise Problem(f"{error}; give instants as 2026-11-22T10:00:00Z") from None


def look(
    leases: Sequence[GpuLease],
    claims: Sequence[GpuClaim],
    at_ms: Millis,
    now_ms: Millis,
    classes: Sequence[GpuClass] = (),
) -> dict[str, Any]:
    """Return each lease's coverage at an instant, as data for programs: money as decimal strings, per hour."""
    names = {x.metadata.uid: x.metadata.name for x in leases}
    keys = {c.metadata.uid: c.metadata.key for c in claims}
    lines = coverage(View(now_ms, tuple(claims), tuple(leases), tuple(classes)), at_ms)
    items = [_item(line, names, keys) for line in lines]
    options = [
        {
            "lease": lease.metadata.name,
            "gpus": option.gpus,
            "startTime": format_instant(option.start_time),
            "exerciseByTime": format_instant(option.exercise_by_time),
            "waitingGpus": waiting_gpus(lease, claims, classes),
        }
        for lease in sorted(leases, key=lambda x: x.metadata.name)
        for option in open_options(lease, at_ms)
    ]
    items.sort(key=lambda item: item["lease"])
    return {"at": format_instant(at_ms), "items": items, "options": options}


def show_coverage(found: dict[str, Any], *, wide: bool = False) -> None:
    """Print one line per lease; `wide` adds the break-even, and which claims nothing covers."""
    print(f"coverage at {found['at']}")
    rows = [
        (
            item["lease"],
            *(item[name] for name in ("committed", "used", "unsold", "uncovered")),
            _money(item["revenuePerHour"]),
            _money(item["costPerHour"]),
            item["marginPerHour"],
            *(
                (
                    item["breakEven"],
                    item["maintenance"] or "",
                    ", ".join(item["uncoveredClaims"]),
                    item["whyNoMargin"],
                )
                if wide
                else ()
            ),
        )
        for item in found["items"]
    ]
    show_table((*COLUMNS, *(WIDE if wide else ())), rows)
    for option in found["options"]:
        print(
            f"option of {option['lease']}: {how_many(option['gpus'], 'GPU')} from {option['startTime']} on, to be exercised by "
            f"{option['exerciseByTime']}; claims wait for {how_many(option['waitingGpus'], 'GPU')} that it could serve"
        )


def _item(line: LeaseCoverage, names: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, Any]:
    trade = line.trade
    return {
        "lease": names.get(line.lease_uid, line.lease_uid),
        "committed": line.committed,
        "used": line.used,
        "unsold": line.unsold,
        "uncovered": line.uncovered,
        "maintenance": line.maintenance,
        "uncoveredClaims": [keys[uid] for uid in line.uncovered_claims],
        "revenuePerHour": _texts(trade.revenue),
        "costPerHour": _texts(trade.cost) if trade.cost is not None else None,
        "marginPerHour": f"{trade.margin:f}" if trade.margin is not None else None,
        "whyNoMargin": trade.why_no_margin,
        "breakEven": percent(trade.break_even),
    }


def _texts(money: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: f"{amount:f}" for currency, amount in money.items()}


def _money(texts: Mapping[str, str] | None) -> str:
    if texts is None:
        return "?"
    return ", ".join(f"{amount} {currency}" for currency, amount in texts.items()) or "0"
