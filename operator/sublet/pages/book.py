"""The book as a page: what `sublet book --html` writes. A chart and a table of each lease, and who waits. Pure."""

from itertools import pairwise
from typing import Final

from markupsafe import Markup

from sublet.api.times import Millis, format_instant
from sublet.html.columns import Pile, columns
from sublet.html.markup import Content
from sublet.html.page import charts, figure, folded, legend, page, paragraph, section
from sublet.html.style import LOOKS, MARK
from sublet.html.table import Column, table
from sublet.pages.money import section_of
from sublet.pages.supply import Book, Line

HELD: Final = (LOOKS[0], "held by claims")
FREE: Final = (LOOKS[1], "free")
LINE: Final = (MARK, "committed")
"""What the looks of a lease's chart stand for."""
_PILES: Final = 60
_COUNTS: Final = ("Committed", "Sellable", "Held", "Free")
_STEPS: Final = (Column("From"), *(Column(name, is_number=True) for name in _COUNTS))
_WAITING: Final = (
    Column("Claim"),
    Column("Class"),
    Column("GPUs", is_number=True),
    Column("Expected"),
    Column("Reason"),
    Column("Why it waits", is_prose=True),
)


def book_page(book: Book) -> str:
    """Return the book as one HTML document."""
    begin, end = format_instant(book.from_ms), format_instant(book.to_ms)
    lines = [book.all, *book.leases] if len(book.leases) > 1 else [*book.leases]
    return page(
        f"The book, {begin} to {end}",
        paragraph("GPUs of each lease from now on, as far as is known. For the platform team alone."),
        section("Waiting claims", waiting(book)),
        legend([HELD, FREE, LINE]),
        charts(*(part(line, book) for line in lines)),
    )  # fmt: skip


def part(line: Line, book: Book, *more: Content) -> Markup:
    """Return one lease's section, or that of all leases."""
    name = "All leases" if line is book.all else line.name
    words = _words(line, book)
    steps = [(format_instant(s.at_ms), *map(str, s.counts)) for s in line.steps]
    return section(
        name,
        figure(words, columns(f"GPUs of {name}", words, _piles(line, book))),
        folded("Each step", table(f"Steps of {name}", _STEPS, steps)),
        *more,
        name=section_of(line.name),
    )


def _words(line: Line, book: Book) -> str:
    """Say what a chart shows: what is now, when least is free, and the next change of the commitment."""
    now, least = line.at(book.from_ms), line.tightest(book.from_ms, book.to_ms)
    said = [f"Now {now.held} of {now.committed} committed GPUs are held and {now.free} free."]
    if least.at_ms > book.from_ms:
        said.append(f"Fewest are free from {format_instant(least.at_ms)} on: {least.counts.free}.")
    changed = next((s for s in line.steps if s.counts.committed != now.committed), None)
    if changed is not None:
        said.append(
            f"From {format_instant(changed.at_ms)} on {changed.counts.committed} are committed."
        )
    return " ".join(said)


def _piles(line: Line, book: Book) -> list[Pile]:
    span = book.to_ms - book.from_ms
    edges = [Millis(book.from_ms + span * i // _PILES) for i in range(_PILES + 1)]
    piles = []
    for begin, end in pairwise(edges):
        counts = line.tightest(begin, end).counts
        name = format_instant(begin)[:10]
        piles.append(Pile(name, (counts.held, counts.free), counts.committed))
    return piles


def waiting(book: Book) -> Markup:
    """Return the claims that want GPUs and have none, with why."""
    rows = [
        (
            claim.metadata.key,
            claim.spec.class_name,
            str(claim.spec.gpus),
            format_instant(pending.estimated_start_time)
            if pending.estimated_start_time
            else "not known",
            pending.reason.value,
            pending.message,
        )
        for claim in book.waiting
        if (pending := claim.status.pending) is not None
    ]
    return table("Claims that want GPUs and have none", _WAITING, rows)
