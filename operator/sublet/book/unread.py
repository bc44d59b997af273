"""What a claim holds of which nothing is planned: it can't be read, or is restored and waits to be adopted. Made by `sublet.hub`.

Of the first only what its status names is known, and it may hold any more of its leases: they take nothing new. The second
holds what its backup says; what it came to since is in its nodes' own books.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sublet.api.gpuclaim import Booking
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.book.steps import FOREVER

_AT_ONCE: Final = Millis(0)


@dataclass(frozen=True, slots=True)
class UnreadHolder:
    """A claim of which nobody can say until when it holds what it holds: a newer version, or it before the hub was lost, may know."""

    key: str
    leases: frozenset[LeaseUID]
    """Of which it may hold any more; none of one that waits to be adopted."""
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
    awaited_uid: ClaimUID | None = None
    """What it goes by once it is adopted; None: it can't be read."""

    @property
    def why(self) -> str:
        """Return why it is only held, for a tenant."""
        if self.awaited_uid is not None:
            return "which waits to be adopted and counts until it is"
        return "which can't be read and counts until it can"
