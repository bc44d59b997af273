"""What a landlord is owed: a lease's GPUs by state, phase, price and cell of a grid, and what is bought of it. Pure.

In each cell used + unused + unavailable is the commitment, exactly; what is bound beyond it is a fourth state. Prices are
the contract's, as `sublet.book.bill` reads them too. Rounding of uses stands apart (`sublet.rating.uses`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from sublet.api.ids import LeaseUID
from sublet.api.lease_terms import BuyPrice
from sublet.api.times import Millis
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.grid import Grid, cut_by, until
from sublet.rating.model import Cell, LeaseState
from sublet.rating.money import owed
from sublet.rating.supply import Stretch, Supply, supply_of


@dataclass(frozen=True, slots=True)
class Purchase:
    """Committed GPU time of one phase that is paid for at one price, within one cell of the grid."""

    lease_uid: LeaseUID
    commitment_id: str
    from_ms: Millis
    to_ms: Millis
    gpu_milliseconds: int
    price: Decimal
    currency: str
    amount: Fraction


@dataclass(slots=True)
class Piece:
    """A part of a cell with one phase and one price, in GPU-milliseconds."""

    from_ms: Millis
    to_ms: Millis
    commitment_id: str
    price: BuyPrice
    quantity: dict[LeaseState, int] = field(default_factory=lambda: dict.fromkeys(LeaseState, 0))
    unseen: int = 0
    """Committed and not used while nobody knew whether it could be; part of what is called unused."""

    def add(self, each: Stretch) -> None:
        """Count a stretch that goes on where this ends."""
        for state, gpus in (
            (LeaseState.USED, each.used),
            (LeaseState.UNUSED, each.unused),
            (LeaseState.UNAVAILABLE, each.unavailable),
            (LeaseState.BEYOND, each.beyond),
        ):
            self.quantity[state] += gpus * each.milliseconds
        self.unseen += 0 if each.is_seen else each.unused * each.milliseconds
        self.to_ms = each.to_ms


def cells_of(
    books: Books, lease_uid: LeaseUID, span: Span, grid: Grid, as_of_ms: Millis
) -> list[Cell]:
    """Return the cells of one lease in the order of time; nothing after `as_of_ms`; NoTerms if it isn't known."""
    return cells(supply_of(books, lease_uid), span, grid, as_of_ms)


def cells(supply: Supply, span: Span, grid: Grid, as_of_ms: Millis) -> list[Cell]:
    """Return the cells of a lease, those with no GPU time left out."""
    found = pieces(supply, cut_by(grid, supply.terms.billing, until(span, as_of_ms)))
    return [cell for piece in found for cell in cells_in(supply, piece)]


def purchases_of(
    books: Books, lease_uid: LeaseUID, span: Span, grid: Grid, as_of_ms: Millis
) -> list[Purchase]:
    """Return what is bought of one lease's commitment; nothing after `as_of_ms`; NoTerms if it isn't known."""
    return purchases(supply_of(books, lease_uid), span, grid, as_of_ms)


def purchases(supply: Supply, span: Span, grid: Grid, as_of_ms: Millis) -> list[Purchase]:
    """Return what is bought of a commitment; it costs what used, unused and unavailable GPUs cost.

    Where unused GPUs have a price of their own a phase is bought at two prices. Those that cost nothing because only use is
    paid for aren't bought; what is beyond the commitment is paid for as it is used.
    """
    found = []
    for piece in pieces(supply, cut_by(grid, supply.terms.billing, until(span, as_of_ms))):
        bought: dict[Decimal, int] = defaultdict(int)  # price -> GPU-milliseconds
        for state, quantity in piece.quantity.items():
            idle = state in (LeaseState.UNUSED, LeaseState.UNAVAILABLE)
            if state is not LeaseState.BEYOND and not (idle and idle_is_free(supply, piece.price)):
                bought[price_of(supply, piece.price, state)] += quantity
        found += [
            Purchase(
                lease_uid=supply.lease_uid,
                commitment_id=piece.commitment_id,
                from_ms=piece.from_ms,
                to_ms=piece.to_ms,
                gpu_milliseconds=quantity,
                price=price,
                currency=supply.terms.currency,
                amount=owed(quantity, price),
            )
            for price, quantity in bought.items()
            if quantity
        ]
    return found


def pieces(supply: Supply, grid: Sequence[Span]) -> Iterator[Piece]:
    """Yield the pieces of cells that follow each other without a gap."""
    if not grid:
        return
    begins = {cell.from_ms for cell in grid}
    piece: Piece | None = None
    for each in supply.stretches(Span(grid[0].from_ms, grid[-1].to_ms), begins):
        if piece is not None and not (
            each.from_ms not in begins
            and each.commitment_id == piece.commitment_id
            and each.price is piece.price
        ):
            yield piece
            piece = None
        if piece is None:
            piece = Piece(each.from_ms, each.to_ms, each.commitment_id, each.price)
        piece.add(each)
    if piece is not None:
        yield piece


def cells_in(supply: Supply, piece: Piece) -> Iterator[Cell]:
    """Yield the cells of a piece, one for each state that has any GPU time."""
    for state, quantity in piece.quantity.items():
        if quantity:
            price = price_of(supply, piece.price, state)
            yield Cell(
                lease_uid=supply.lease_uid,
                commitment_id=piece.commitment_id,
                state=state,
                from_ms=piece.from_ms,
                to_ms=piece.to_ms,
                gpu_milliseconds=quantity,
                price=price,
                currency=supply.terms.currency,
                amount=owed(quantity, price),
            )


def price_of(supply: Supply, price: BuyPrice, state: LeaseState) -> Decimal:
    """Return what a GPU in a state costs for an hour."""
    if state is LeaseState.USED:
        return price.per_gpu_hour
    if state is LeaseState.BEYOND:
        over = price.overage_per_gpu_hour
        return price.per_gpu_hour if over is None else over
    if price.holding_per_gpu_hour is not None:
        return price.holding_per_gpu_hour
    return Decimal(0) if supply.pays_by_use else price.per_gpu_hour


def idle_is_free(supply: Supply, price: BuyPrice) -> bool:
    """Say whether what isn't used isn't bought."""
    return price.holding_per_gpu_hour is None and supply.pays_by_use
