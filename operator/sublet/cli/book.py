"""`sublet book`: supply and demand in time, as a chart and as a table. For the platform team. Reads objects only."""

from pathlib import Path
from typing import Any, Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import CLAIMS, LEASES
from sublet.api.times import MS_PER_SECOND, Millis, format_instant
from sublet.cli.chart import show_chart
from sublet.cli.choices import Format
from sublet.cli.connect import connect, run
from sublet.cli.durations import parse_duration
from sublet.cli.files import write_whole
from sublet.cli.objects import list_all
from sublet.cli.output import show_data, show_table
from sublet.cli.problems import Problem
from sublet.clock import SystemClock
from sublet.pages.book import book_page
from sublet.pages.supply import Book, Line, Step, make_book

_COLUMNS: Final = ("lease", "committed", "sellable", "held", "free", "least-free", "from")
_STEPS: Final = ("lease", "from", "committed", "sellable", "held", "free")
_WAITING: Final = ("waiting", "class", "gpus", "expected", "reason")


def command(
    lease: str | None, span: str, html: Path | None, context: str | None, output: Format
) -> None:
    """Read leases and claims, show the book, and write the page if one is wanted."""
    path = html.expanduser() if html is not None else None

    async def work() -> None:
        now_ms = SystemClock().now_ms()
        to_ms = Millis(now_ms + parse_duration(span, option="--for") * MS_PER_SECOND)
        async with connect(context) as hub:
            leases = await list_all(hub, LEASES, GpuLease)
            claims = await list_all(hub, CLAIMS, GpuClaim)
        if lease is not None and lease not in {x.metadata.name for x in leases}:
            raise Problem(f"the hub has no GpuLease {lease}; sublet get leases lists them")
        shown = [x for x in leases if lease in (None, x.metadata.name)]
        found = make_book(shown, claims, now_ms, to_ms)
        if path is not None:
            write_whole(path, book_page(found))
        if not show_data(as_data(found), output):
            show(found, wide=output is Format.WIDE)
            if path is not None:
                print(f"\nwritten to {html}")

    run(work, what="the book")


def show(book: Book, *, wide: bool = False) -> None:
    """Print the chart and the tables; `wide` adds each step of each lease."""
    if not book.leases:
        print("no leases: nothing to sell")
        return
    show_chart(book.all, book.from_ms, book.to_ms)
    print()
    show_table(_COLUMNS, [_row(line, book) for line in (*book.leases, book.all)])
    if wide:
        print()
        rows = [(line.name, *_step(step)) for line in book.leases for step in line.steps]
        show_table(_STEPS, rows)
    if book.waiting:
        print()
        show_table(_WAITING, [_waits(claim) for claim in book.waiting])


def as_data(book: Book) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "from": format_instant(book.from_ms),
        "to": format_instant(book.to_ms),
        "leases": [{"lease": x.name, "steps": [_data(s) for s in x.steps]} for x in book.leases],
        "all": [_data(step) for step in book.all.steps],
        "waiting": [
            {
                "claim": claim.metadata.key,
                "className": claim.spec.class_name,
                "gpus": claim.spec.gpus,
                "reason": pending.reason.value,
                "estimatedStartTime": _instant(pending.estimated_start_time),
            }
            for claim in book.waiting
            if (pending := claim.status.pending) is not None
        ],
    }


def _row(line: Line, book: Book) -> tuple[object, ...]:
    least = line.tightest(book.from_ms, book.to_ms)
    when = "now" if least.at_ms == book.from_ms else format_instant(least.at_ms)
    return (line.name, *line.at(book.from_ms), least.counts.free, when)


def _step(step: Step) -> tuple[object, ...]:
    return (format_instant(step.at_ms), *step.counts)


def _data(step: Step) -> dict[str, Any]:
    return {"time": format_instant(step.at_ms), **step.counts._asdict()}


def _waits(claim: GpuClaim) -> tuple[object, ...]:
    pending = claim.status.pending
    expected = _instant(pending.estimated_start_time) if pending is not None else None
    reason = pending.reason.value if pending is not None else ""
    return (claim.metadata.key, claim.spec.class_name, claim.spec.gpus, expected, reason)


def _instant(at_ms: Millis | None) -> str | None:
    return format_instant(at_ms) if at_ms is not None else None
