"""`sublet margin` as a command: which time, which side, which format, and the page."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from sublet.cli.choices import Format, MarginOf
from sublet.cli.connect import run
from sublet.cli.files import write_whole
from sublet.cli.ledger_source import Place, open_books
from sublet.cli.margin import show
from sublet.cli.margin_page import margin_page
from sublet.cli.problems import Problem
from sublet.cli.spans import parse_span
from sublet.clock import SystemClock
from sublet.rating.report import Report, report
from sublet.rating.reporting import reporting


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for."""

    by: MarginOf
    month: str | None
    start: str | None
    end: str | None
    currency: str | None
    html: Path | None


def command(wish: Wish, place: Place, output: Format) -> None:
    """Read the ledger, rate it, and show what lies between revenue and cost."""

    async def work() -> None:
        now_ms = SystemClock().now_ms()
        span = parse_span(wish.month, wish.start, wish.end, now_ms)
        checked_currency(wish.currency)
        books = await open_books(place)

        def rated() -> Report:
            told = reporting(books, wish.currency)
            return report(books, span, now_ms, told, wish.currency)

        found = await asyncio.to_thread(rated)
        if wish.html is not None:
            write_whole(wish.html.expanduser(), margin_page(found))
        show(found, wish.by, output)
        if wish.html is not None and output in (Format.TABLE, Format.WIDE):
            print(f"written to {wish.html}")

    run(work, what="margins")


def checked_currency(code: str | None) -> None:
    """Raise Problem on what can be no currency."""
    if code is not None and not re.fullmatch("[A-Z]{3}", code):
        raise Problem(f"{code!r} is no currency; give its three letters, as EUR")
