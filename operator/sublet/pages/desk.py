"""The platform team's page: who waits and why, the money per hour, supply and demand of each lease, who holds what. Pure."""

from typing import Final

from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import Millis, format_instant
from sublet.book.coverage import coverage
from sublet.book.spans import spans_of
from sublet.book.view import View
from sublet.html.page import charts, legend, page, paragraph, section
from sublet.html.style import LOOKS
from sublet.pages.book import FREE, HELD, LINE, part, waiting
from sublet.pages.glance import glance
from sublet.pages.holders import UNPAID, holders
from sublet.pages.money import money
from sublet.pages.supply import make_book

SPAN_MS: Final = Millis(30 * 86_400_000)
"""So much of the time to come is shown."""


def desk_page(view: View) -> str:
    """Return the page of one moment; `view` needs claims, leases and classes alone."""
    now_ms, to_ms = view.now_ms, Millis(view.now_ms + SPAN_MS)
    leases = sorted(view.leases, key=lambda x: x.metadata.name)
    book = make_book(leases, view.claims, now_ms, to_ms)
    spans = spans_of(view.claims, view.classes, now_ms)
    keys = {ClaimUID(c.metadata.uid): str(c.metadata.key) for c in view.claims}
    uids = {x.metadata.name: LeaseUID(x.metadata.uid) for x in view.leases}
    names = {uid: name for name, uid in uids.items()}
    lines = coverage(view, now_ms)
    parts = [part(book.all, book)] if len(book.leases) > 1 else []
    parts += [
        part(line, book, holders(line.name, spans.get(uids[line.name], ()), keys, (now_ms, to_ms)))
        for line in book.leases
    ]
    shown = [legend([HELD, FREE, LINE, (LOOKS[UNPAID], "held, not paid for yet")]), charts(*parts)]
    nothing = paragraph("No lease is there, so nothing can be sold: sublet onboard makes one of a landlord's cluster.")  # fmt: skip
    return page(
        "Sublet: the book",
        paragraph(f"As the operator knew it at {format_instant(now_ms)}, and 30 days on. For the platform team alone."),
        glance(book, lines, names),
        section("Waiting claims", waiting(book)),
        section("Money", money(lines, names)),
        *(shown if book.leases else [nothing]),
    )  # fmt: skip
