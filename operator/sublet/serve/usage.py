"""GPU time beside its list price, for `sublet usage`: what floats is cut where its class's price changes. Pure.

Read from the ledger's books, as the bill is; before discounts, rounding, minimums and credits, as the counters are.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from sublet.api.times import Millis
from sublet.ledger.entry import BILLED, MARKS, EntryKind
from sublet.ledger.interval import Interval
from sublet.ledger.terms import PriceTerms
from sublet.ledger.usage import By, Usage, usage
from sublet.rating.books import Books
from sublet.rating.prices import Prices


def listed_usage(
    books: Books, by: By, from_ms: Millis, to_ms: Millis, now_ms: Millis
) -> list[Usage]:
    """Return usage within [from_ms, to_ms); what lasts is metered until now. BrokenLedger if a price isn't there."""
    prices: dict[str, PriceTerms] = {}  # hash -> price
    held = list(_priced(books, now_ms, prices))
    return usage(held, prices, by=by, from_ms=from_ms, to_ms=to_ms)


def _priced(books: Books, now_ms: Millis, prices: dict[str, PriceTerms]) -> Iterator[Interval]:
    """Yield intervals with one price each, and note the prices; the future isn't metered, but for what was given up and is owed already."""
    listed = Prices(books, ())
    for each, _, _ in books.intervals(*(kind for kind in EntryKind if kind not in MARKS)):
        end_ms = now_ms if each.end_ms is None else each.end_ms
        held = replace(each, end_ms=end_ms)
        if held.kind not in BILLED:
            yield held
            continue
        over_time, currency = listed.of(
            held, books.reservations.get((held.claim_uid, held.sequence))
        )
        cuts = [held.start_ms, *over_time.edges_in(held.start_ms, end_ms), end_ms]
        for begin, end in pairwise(cuts):
            terms = PriceTerms(over_time.at(begin).listed, currency)
            prices[terms.hash] = terms
            yield replace(held, start_ms=begin, end_ms=end, price_hash=terms.hash)
