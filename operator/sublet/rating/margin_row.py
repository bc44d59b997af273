"""One lease, class or tenant in a margin report: what is added up, and the ratios that follow from it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from sublet.api.times import MS_PER_HOUR, Millis
from sublet.rating.attribution import Portion
from sublet.rating.model import Category, Charge, LeaseState
from sublet.rating.money import Exchange, Money, minus, owed, plus
from sublet.rating.supply import Supply
from sublet.rating.wholesale import Piece, idle_is_free, price_of


@dataclass(frozen=True, slots=True)
class Row:
    """Money by currency, GPU time in milliseconds."""

    uid: str
    """UID of a lease or a tenant, name of a class."""
    revenue: Money
    cost: Money
    unsold: Money
    """The part of the cost that is for GPUs that nobody used."""
    quantity: Mapping[LeaseState, Fraction]
    """GPU time by state; whole numbers of a lease. Of a class or a tenant only what was bound: covered by the commitment, or beyond."""
    unseen: int
    """Called unused, though nobody knew whether it could be used."""
    uncosted: int
    """GPU time whose cost nobody knows, as the ledger has no terms of its lease; not in `cost`."""
    break_even: Fraction | None
    """The share of what is bought that must be sold for revenue to reach cost; of a class or a tenant, and where unused GPUs
    cost nothing, buy price / sell price: below 1 it pays. None where it can't be said: see `sublet.book.trade`."""

    @property
    def margin(self) -> Money | None:
        """Return revenue less cost by currency; None if a part of the cost isn't known."""
        return None if self.uncosted else minus(self.revenue, self.cost)

    @property
    def utilisation(self) -> Fraction | None:
        """Return the share of the commitment that was used; None if nothing was committed, or of a class or a tenant."""
        used, idle = self.quantity[LeaseState.USED], self._idle
        return used / (used + idle) if idle is not None and used + idle else None

    @property
    def coverage(self) -> Fraction | None:
        """Return the share of what was used that the commitment covered; None if nothing was used."""
        used, beyond = self.quantity[LeaseState.USED], self.quantity[LeaseState.BEYOND]
        return used / (used + beyond) if used + beyond else None

    @property
    def _idle(self) -> Fraction | None:
        if LeaseState.UNUSED not in self.quantity:
            return None
        return self.quantity[LeaseState.UNUSED] + self.quantity[LeaseState.UNAVAILABLE]


@dataclass(slots=True)
class _Average:
    """GPU time beside what it costs, in one currency at a time."""

    quantity: int = 0
    amount: Money = field(default_factory=dict)

    def add(self, quantity: int, currency: str, amount: Fraction) -> None:
        self.quantity += quantity
        self.amount = plus(self.amount, currency, amount)

    def hourly(self, currency: str) -> Fraction | None:
        """Return the price per hour; None of nothing."""
        if not self.quantity:
            return None
        return self.amount.get(currency, Fraction(0)) * MS_PER_HOUR / self.quantity


@dataclass(slots=True)
class Sums:
    """What is added up for one row."""

    revenue: Money = field(default_factory=dict)
    cost: Money = field(default_factory=dict)
    unsold: Money = field(default_factory=dict)
    quantity: dict[LeaseState, Fraction] = field(default_factory=dict)
    unseen: int = 0
    uncosted: int = 0
    sold: _Average = field(default_factory=_Average)
    if_used: _Average = field(default_factory=_Average)
    """What is bought, as it would cost if all of it were used."""
    if_unused: _Average = field(default_factory=_Average)

    def charge(self, charge: Charge, exchange: Exchange) -> None:
        """Count what a tenant owes."""
        currency, amount = exchange.convert(charge.amount, charge.currency, charge.from_ms)
        self.revenue = plus(self.revenue, currency, amount)
        if charge.category is Category.USE:
            self.sold.add(charge.gpu_milliseconds, currency, amount)

    def cost_more(self, amount: Fraction, currency: str, at_ms: Millis, exchange: Exchange) -> None:
        """Count what a landlord is owed."""
        self.cost = plus(self.cost, *exchange.convert(amount, currency, at_ms))

    def portion(self, portion: Portion) -> None:
        """Count GPU time that a class or a tenant had."""
        self.cost = plus(self.cost, portion.currency, portion.cost)
        self._count(LeaseState.USED, portion.covered)
        self._count(LeaseState.BEYOND, portion.gpu_milliseconds - portion.covered)
        for average in (self.if_used, self.if_unused):
            average.add(portion.gpu_milliseconds, portion.currency, portion.cost)

    def piece(self, supply: Supply, piece: Piece, exchange: Exchange) -> None:
        """Count a piece of a lease's time."""
        price, own = piece.price, supply.terms.currency
        bought = dict(piece.quantity)
        for state, quantity in bought.items():
            amount = owed(quantity, price_of(supply, price, state))
            self.cost_more(amount, own, piece.from_ms, exchange)
            self._count(state, Fraction(quantity))
            if state in (LeaseState.UNUSED, LeaseState.UNAVAILABLE):
                converted = exchange.convert(amount, own, piece.from_ms)
                self.unsold = plus(self.unsold, *converted)
        self.unseen += piece.unseen
        beyond = bought.pop(LeaseState.BEYOND)
        free = idle_is_free(supply, price)
        within = bought[LeaseState.USED] if free else sum(bought.values())
        over = owed(beyond, price_of(supply, price, LeaseState.BEYOND))
        idle = LeaseState.USED if free else LeaseState.UNUSED
        for average, state in ((self.if_used, LeaseState.USED), (self.if_unused, idle)):
            amount = owed(within, price_of(supply, price, state)) + over
            average.add(within + beyond, *exchange.convert(amount, own, piece.from_ms))

    def row(self, uid: str) -> Row:
        """Return what was added up."""
        return Row(
            uid=uid,
            revenue=self.revenue,
            cost=self.cost,
            unsold=self.unsold,
            quantity={
                **dict.fromkeys((LeaseState.USED, LeaseState.BEYOND), Fraction(0)),
                **self.quantity,
            },
            unseen=self.unseen,
            uncosted=self.uncosted,
            break_even=self._break_even(),
        )

    def _break_even(self) -> Fraction | None:
        currencies = {*self.sold.amount, *self.if_used.amount}
        if len(currencies) != 1 or self.uncosted:
            return None
        (currency,) = currencies
        sell, used, unused = (x.hourly(currency) for x in (self.sold, self.if_used, self.if_unused))
        if used is None or unused is None or not sell:
            return None
        earns = sell - used + unused
        return unused / earns if earns > 0 else None

    def _count(self, state: LeaseState, quantity: Fraction) -> None:
        self.quantity[state] = self.quantity.get(state, Fraction(0)) + quantity
