"""What a claim that can't be read holds, as far as its status names it. Made by `sublet.hub`, nothing of it is planned."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sublet.api.gpuclaim import Booking
from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.book.steps import FOREVER

_AT_ONCE: Final = Millis(0)


@dataclass(frozen=True, slots=True)
class UnreadHolder:
    """A claim that a newer version may have promised what it holds, and nobody can say until when."""

    key: str
    leases: frozenset[LeaseUID]
    classes: frozenset[str]
    tenants: frozenset[TenantUID]
    gpus: int = 0
    """Beyond what is known of the claim; its nodes', or else those that it was promised, as far as they can be read."""
    from_ms: Millis = _AT_ONCE
    """From when it holds them, if that was to come when it was promised them."""
    bookings: tuple[Booking, ...] = ()
    """What it surely was promised of its leases and has no nodes for yet, from then to `until_ms`."""
    until_ms: Millis = FOREVER
    """The end of its bookings; all else counts beyond it."""
    price: Decimal = Decimal(0)
    """Of each of them for an hour; 0 if it can't be read, or is charged no more."""
    currency: str = ""
    is_billed: bool = False
