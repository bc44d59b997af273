"""What a tenant's GPU-hour costs at an instant: the list price of its reservation or its class, less its discount. Pure.

A fixed price is the one that the reservation's hash names. A floating one follows its class's dated prices, and is that of the
reservation where the class has none yet. Of a tenant's discounts the latest one of the class holds, or the latest of those for
all classes if the class has none: a discount of 0 per cent ends an earlier one, and doesn't fall back to the common one.
"""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from sublet.api.billing import Discount
from sublet.api.dated import in_order
from sublet.api.gpuclass import Pricing
from sublet.ledger.entry import EntryKind
from sublet.ledger.interval import Interval
from sublet.ledger.texts.reservation import ReservationTerms
from sublet.rating.books import Books
from sublet.rating.timeline import Timeline

_HUNDRED: Final = Fraction(100)


class Price(NamedTuple):
    """What a GPU-hour costs."""

    listed: Decimal
    """Before discounts."""
    charged: Fraction


class Prices:
    """The prices of one tenant, kept as they are asked for: thousands of claims share a few."""

    def __init__(self, books: Books, discounts: tuple[Discount, ...]) -> None:
        self._books = books
        by_class: dict[str | None, list[Discount]] = defaultdict(list)  # class name -> dated
        for each in in_order(discounts):
            by_class[each.class_name].append(each)
        self._discounts = by_class
        self._known: dict[tuple[str, str, str], tuple[Timeline[Price], str]] = {}
        """(price hash, class that it follows, class name) -> prices over time, currency"""

    def of(self, interval: Interval, terms: ReservationTerms | None) -> tuple[Timeline[Price], str]:
        """Return what an interval costs over time, and the currency; BrokenLedger if the price's text isn't there."""
        floats = terms is not None and terms.pricing is Pricing.FLOATING
        follows = terms.class_uid if terms is not None and floats else ""
        if interval.kind is EntryKind.CANCELLED:
            follows = ""  # a part of the price of the reservation, agreed when it was made
        key = (interval.price_hash, follows, terms.class_name if terms is not None else "")
        if key not in self._known:
            self._known[key] = self._made(*key)
        return self._known[key]

    def _made(self, price_hash: str, follows: str, class_name: str) -> tuple[Timeline[Price], str]:
        reserved = self._books.price(price_hash)
        offer = self._books.classes.get(follows)
        dated = offer.prices if offer is not None else ()
        listed = Timeline(
            reserved.per_gpu_hour, [(p.effective_time, p.per_gpu_hour) for p in dated]
        )
        percent = self._percent(class_name)
        edges = sorted({*listed.edges, *percent.edges})
        changes = [(at, _price(listed.at(at), percent.at(at))) for at in edges]
        first = _price(reserved.per_gpu_hour, 0)
        return Timeline(first, changes), reserved.currency

    def _percent(self, class_name: str) -> Timeline[int]:
        """Return how many per cent are taken off over time."""
        own, common = self._discounts.get(class_name, []), self._discounts.get(None, [])
        # the class's own hold from its first one on
        until = own[0].effective_time if own else None
        some = [d for d in common if until is None or d.effective_time < until]
        return Timeline(0, [(d.effective_time, d.percent) for d in [*some, *own]])


def _price(listed: Decimal, percent: int) -> Price:
    return Price(listed, Fraction(listed) * (_HUNDRED - percent) / _HUNDRED)
