"""`sublet usage`: metered GPU time and what it costs, exact, from the operator's ledger."""

from datetime import UTC, datetime
from typing import Any, Final

from sublet.api.times import MS_PER_HOUR, Millis, format_instant, parse_instant
from sublet.cli.admin import fetch, forwarded
from sublet.cli.choices import Format
from sublet.cli.connect import checked_name, connect, run
from sublet.cli.output import show_rows
from sublet.cli.problems import Problem
from sublet.clock import SystemClock
from sublet.ledger.usage import By

_PATH: Final = "/admin/v1/usage"


def command(
    by: By,
    span: tuple[str | None, str | None],
    context: str | None,
    admin: str | None,
    namespace: str,
    output: Format,
) -> None:
    """Ask the operator and show what it says; `span` is from when to when, as the person wrote it."""

    async def work() -> None:
        where = checked_name(namespace, what="namespace", label=True)
        window = parse_window(*span, SystemClock().now_ms())
        answer = await ask(window, by, context=context, namespace=where, given=admin)
        show_usage(answer, output)

    run(work, what="usage")


def parse_window(start: str | None, end: str | None, now_ms: Millis) -> tuple[Millis, Millis]:
    """Return a window in milliseconds: by default from the first of this month to now (UTC)."""
    today = datetime.fromtimestamp(now_ms / 1_000, tz=UTC)
    first = datetime(today.year, today.month, 1, tzinfo=UTC)
    try:
        from_ms = parse_instant(start) if start else Millis(int(first.timestamp()) * 1_000)
        to_ms = parse_instant(end) if end else now_ms
    except ValueError as error:
        raise Problem(f"{error}; give instants as 2026-11-22T10:00:00Z") from None
    if from_ms >= to_ms:
        raise Problem("--from must be earlier than --to")
    return from_ms, to_ms


async def ask(
    window: tuple[Millis, Millis], by: By, *, context: str | None, namespace: str, given: str | None
) -> dict[str, Any]:
    """Return the operator's answer: through a port-forward, or from a URL that was given."""
    params = window_params(*window, by)
    if given:
        return await fetch(given.rstrip("/"), _PATH, params)
    async with connect(context) as hub, forwarded(hub, namespace, context) as base:
        return await fetch(base, _PATH, params)


def show_usage(answer: dict[str, Any], form: Format = Format.TABLE) -> None:
    """Print one line per claim, tenant or lease: exact milliseconds, hours for reading, charge.

    `wide` and CSV add the UID, which outlives the name, and the charge before rounding.
    """
    by = str(answer["by"])
    is_wide = form in (Format.WIDE, Format.CSV)
    rows = [
        (
            item["name"],
            item["kind"],
            item["gpuMilliseconds"],
            hours(int(item["gpuMilliseconds"])),
            item.get("charge", ""),
            item.get("currency", ""),
            *((item["uid"], item.get("exactCharge", "")) if is_wide else ()),
        )
        for item in answer["items"]
    ]
    more = ("uid", "exact-charge") if is_wide else ()
    columns = (by, "kind", "gpu-milliseconds", "gpu-hours", "charge", "currency", *more)
    title = f"usage by {by}, {answer['from']} to {answer['to']}"
    show_rows(answer, form, columns, rows, title=title)


def hours(gpu_milliseconds: int) -> str:
    """Write GPU-milliseconds as GPU-hours with six places, for reading only."""
    whole, rest = divmod(gpu_milliseconds, MS_PER_HOUR)
    return f"{whole}.{rest * 1_000_000 // MS_PER_HOUR:06d}"


def window_params(from_ms: Millis, to_ms: Millis, by: By) -> dict[str, str]:
    """Return the query of the admin endpoint."""
    return {"from": format_instant(from_ms), "to": format_instant(to_ms), "by": by.value}
