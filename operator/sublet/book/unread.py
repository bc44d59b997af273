"""What a claim holds of which nothing is planned: it can't be read, or is restored and waits to be adopted. Made by `sublet.hub`.

Of the first only what its status names is known, and it may hold any more of its leases: they take nothing new. The second
holds what its backup says; what it came to since is in its nodes' own books, and taken off what it was promised.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from sublet.api.gpuclaim import Booking
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.book.inventory import LeaseInventory, Unfit
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


class Given(NamedTuple):
    """What nodes that are alike give a claim by their own books."""

    lease_uid: LeaseUID
    gpus: int
    """Of each of them."""
    domain: str | None
    """Their NVLink domain, None if it isn't known."""


def given_by_books(
    unread: Collection[UnreadHolder],
    inventories: Iterable[LeaseInventory],
    clusters: Mapping[LeaseUID, str],
) -> dict[ClaimUID, Counter[Given]]:
    """Return claim that waits to be adopted -> what books give it -> nodes, each counted for one lease.

    `clusters`: lease UID -> what tells its nodes from others'.
    """
    found = defaultdict[ClaimUID, Counter[Given]](Counter)
    awaited = {each.awaited_uid for each in unread if each.bookings} - {None}
    seen: set[tuple[str, str, ClaimUID]] = set()
    for inventory in inventories if awaited else ():
        lease_uid = inventory.lease_uid
        for node in inventory.nodes.values():
            for entry in node.holdings:
                uid = entry.claim_uid
                # a node under another lease's label is none of this one's
                if uid not in awaited or node.unfit is Unfit.NODE_OVERLAP:
                    continue
                key = (clusters[lease_uid], node.uid, uid)
                if key not in seen:
                    seen.add(key)
                    found[uid][Given(lease_uid, entry.gpus, node.clique or None)] += 1
    return found


def still_booked(
    each: UnreadHolder, given: Mapping[ClaimUID, Counter[Given]]
) -> tuple[Booking, ...]:
    """Return what a claim was promised without the nodes whose books give it as much: those are held by their books."""
    if each.awaited_uid is None or each.awaited_uid not in given:
        return each.bookings
    left = [booking.nodes for booking in each.bookings]
    for what, nodes in given[each.awaited_uid].items():
        suiting = (
            (-b.gpus_per_node, b.domain != what.domain, i)  # the nearest to what it gives first
            for i, b in enumerate(each.bookings)
            if b.lease_uid == what.lease_uid and b.gpus_per_node <= what.gpus
        )
        rest = nodes
        for *_, i in sorted(suiting):
            taken = min(rest, left[i])
            left[i] -= taken
            rest -= taken
    return tuple(
        booking.model_copy(update={"nodes": nodes})
        for booking, nodes in zip(each.bookings, left, strict=True)
        if nodes
    )
