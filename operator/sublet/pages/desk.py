"""The platform team's page: supply and demand of each lease, who holds what, who waits and why, and the money per hour. Pure."""

from typing import Final

from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import Millis, format_instant
from sublet.book.coverage import coverage
from sublet.book.spans import spans_of
from sublet.book.view import View
from sublet.html.page import legend, page, paragraph, section
from sublet.html.style import LOOKS
from sublet.pages.book import part, waiting
from sublet.pages.holders import holders
from sublet.pages.money import money
from sublet.pages.supply import make_book

SPAN_MS: Final = Millis(30 * 86_400_000)
"""So much of the time to come is shown."""


def desk_page(view: View) -> str:
    """Return the page of one moment; `view` needs claims, leases and classes alone."""
    now_ms, to_ms = view.now_ms, Millis(view.now_ms + SPAN_MS)
    book = make_book(view.leases, view.claims, now_ms, to_ms)
    spans = spans_of(view.claims, view.classes, now_ms)
    keys = {ClaimUID(c.metadata.uid): str(c.metadata.key) for c in view.claims}
    uids = {x.metadata.name: LeaseUID(x.metadata.uid) for x in view.leases}
    names = {uid: name for name, uid in uids.items()}
    summed = [part(book.all, book)] if len(book.leases) > 1 else []
    return page(
        "Sublet: the book",
        paragraph(f"As the operator knew it at {format_instant(now_ms)}, and 30 days on. For the platform team alone."),
        section("Waiting claims", waiting(book)),
        section("Money", money(coverage(view, now_ms), names)),
        legend([(LOOKS[0], "held by claims"), (LOOKS[1], "free; below: held, not paid for yet")]),
        *summed,
        *(
            part(line, book, holders(line.name, spans.get(uids[line.name], ()), keys, (now_ms, to_ms)))
            for line in book.leases
        ),
    )  # fmt: skip
