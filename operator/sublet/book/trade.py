"""Bought and sold: quantities beside their prices, and what follows from them: revenue, cost, margin, break-even. Pure.

One arithmetic for an instant, where quantities are GPUs and money is per hour, and for an interval, where they are
GPU-milliseconds and money is an amount. Currencies are never mixed: a margin that would need an exchange rate isn't
stated, and `why_no_margin` says so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from sublet.api.rating import Rate, charges, per_hour
from sublet.book.bill import Bill


@dataclass(frozen=True, slots=True)
class Trade:
    """What was sold to tenants and bought from the landlord, at which rates."""

    sold: Mapping[Rate, int] = field(default_factory=dict)
    bought: Mapping[Rate, int] | None = None
    """None: nobody knows what the GPUs cost, as their lease is gone."""
    in_time: bool = False
    """Quantities are GPU-milliseconds; else GPUs, and all money is per hour."""
    given_up: Mapping[Rate, int] = field(default_factory=dict)
    """What tenants pay for and gave up: revenue, but nothing that was sold."""
    if_sold: Mapping[Rate, int] | None = None
    """What is bought, as it would cost if all of it were sold; None: the same."""
    if_unsold: Mapping[Rate, int] | None = None
    """What is bought, as it would cost if none of it were sold; None: the same."""

    @classmethod
    def of(
        cls,
        sold: Mapping[Rate, int],
        given_up: Mapping[Rate, int],
        bill: Bill | None,
        *,
        in_time: bool = False,
    ) -> "Trade":
        """Make the trade of what tenants owe and of the landlord's bill, None if that is unknown."""
        if bill is None:
            return cls(sold, None, in_time, given_up)
        return cls(sold, bill.bought, in_time, given_up, bill.if_sold, bill.if_unsold)

    @property
    def revenue(self) -> dict[str, Decimal]:
        """Return what tenants owe, by currency: per hour, or for the time."""
        return self._money(Counter(self.sold) + Counter(self.given_up))

    @property
    def cost(self) -> dict[str, Decimal] | None:
        """Return what we owe, by currency: per hour, or for the time; None if nobody knows."""
        return None if self.bought is None else self._money(self.bought)

    @property
    def margin(self) -> Decimal | None:
        """Return revenue minus cost; None where that can't be said, see `why_no_margin`."""
        if self.cost is None or self.why_no_margin is not None:
            return None
        return sum(self.revenue.values(), Decimal(0)) - sum(self.cost.values(), Decimal(0))

    @property
    def why_no_margin(self) -> str | None:
        """Say why no margin is stated, None if it is."""
        if self.bought is None:
            return "the lease is gone, and with it what its GPUs cost"
        paid = {**self.sold, **self.given_up}
        sold, bought = ({rate.currency for rate in side} for side in (paid, self.bought))
        if len(sold | bought) <= 1:
            return None
        words = [" and ".join(sorted(each)) or "nothing" for each in (sold, bought)]
        return f"sold in {words[0]}, bought in {words[1]}: a margin needs one currency"

    @property
    def break_even(self) -> Fraction | None:
        """Return the share of what is bought that must be sold for revenue to reach cost: buy price / sell price.

        Prices are the averages of what was bought and sold; None where either is missing, free or in another
        currency, or no share is enough. Where GPUs cost less while they aren't used, a sold one must earn only what it
        costs more. Where unused ones cost nothing (PayAsYouGo) it says only whether a sold hour pays: below 1 it does.
        """
        if self.bought is None or self.why_no_margin is not None:
            return None
        used, unused = (_average(m or self.bought) for m in (self.if_sold, self.if_unsold))
        sell = _average(self.sold)
        if used is None or unused is None or not sell:
            return None
        earns = sell - used + unused
        return unused / earns if earns > 0 else None

    def _money(self, metered: Mapping[Rate, int]) -> dict[str, Decimal]:
        return charges(metered) if self.in_time else per_hour(metered)


def together(trades: Iterable[Trade]) -> Trade:
    """Return several trades of one kind as one; its cost is unknown if that of any is."""
    sold: Counter[Rate] = Counter()
    bought: Counter[Rate] = Counter()
    given_up: Counter[Rate] = Counter()
    if_sold: Counter[Rate] = Counter()
    if_unsold: Counter[Rate] = Counter()
    known, in_time = True, False
    for trade in trades:
        sold.update(trade.sold)
        bought.update(trade.bought or {})
        given_up.update(trade.given_up)
        if_sold.update(trade.if_sold or trade.bought or {})
        if_unsold.update(trade.if_unsold or trade.bought or {})
        known, in_time = known and trade.bought is not None, trade.in_time
    if not known:
        return Trade(sold, None, in_time, given_up)
    if if_sold == bought == if_unsold:
        return Trade(sold, bought, in_time, given_up)
    return Trade(sold, bought, in_time, given_up, if_sold, if_unsold)


def _average(metered: Mapping[Rate, int]) -> Fraction | None:
    quantity = sum(metered.values())
    if quantity == 0:
        return None
    return sum((Fraction(r.per_gpu_hour) * n for r, n in metered.items()), Fraction(0)) / quantity
