"""Who uses what, counted as claims change: passes are many and claims are thousands, of which few change between two.

Read by the writer of statuses. Made of the hub's claims alone, so it says what the hub knows, not what nodes hold.
"""

from collections import Counter, defaultdict
from dataclasses import replace

from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.move_status import all_nodes, end_there, fresh_nodes
from sublet.api.times import Millis
from sublet.book.holdings import RELEASE_MS, Term, held_by, holds
from sublet.book.steps import FOREVER
from sublet.book.unread import UnreadHolder
from sublet.fleet.conditions import Held
from sublet.hub.state import Shelf
from sublet.hub.unread import unread_holders

_Window = tuple[Millis | None, Millis | None]
"""The end that a claim's status shows, and the start of a promise."""


class Tally:
    """Claims that hold GPUs, by what they use."""

    def __init__(self, claims: Shelf[GpuClaim]) -> None:
        self._claims = claims
        self._changed = claims.follow()
        self._counted: dict[str, GpuClaim] = {}  # UID -> the claim as it was counted
        self._awaited: list[GpuClaim] = []  # restored claims that nobody has adopted yet
        self._unread: tuple[UnreadHolder, ...] = ()  # claims that can't be read
        self._beyond: list[UnreadHolder] = []  # the same, without what is counted of them anyway
        self._closed: dict[str, list[str]] = {}  # lease UID -> names of claims that can't be read
        self.leases: Counter[str] = Counter()
        """lease UID -> claims that hold GPUs of it"""
        self.classes: Counter[str] = Counter()
        """class -> claims of it that hold GPUs"""
        self.tenants: Counter[str] = Counter()
        """tenant UID -> its claims that hold GPUs"""
        self._reserved: Counter[str] = Counter()  # lease UID -> GPUs
        self._bound: Counter[str] = Counter()  # lease UID -> GPUs
        self._windows: dict[str, Counter[_Window]] = defaultdict(Counter)  # lease UID -> GPUs

    def renew(self) -> None:
        """Count what changed."""
        for uid in self._changed:
            if (before := self._counted.pop(uid, None)) is not None:
                self._count(before, -1)
            claim = self._claims.get(uid)
            if claim is not None and holds(claim):
                self._counted[uid] = claim
                self._count(claim, 1)
        self._changed.clear()
        for claim in self._awaited:
            self._count(claim, -1)
        self._awaited = [claim for claim in self._claims.awaited() if holds(claim)]
        for claim in self._awaited:
            self._count(claim, 1)
        self._renew_unread()

    def held(self, lease_uid: str, now_ms: Millis) -> Held:
        """Return what is held of a lease; past its end a claim holds until its release is done."""
        terms: Counter[tuple[Millis, Millis | None]] = Counter()
        for (until, start), gpus in self._windows.get(lease_uid, Counter()).items():
            if gpus:
                lasts = until if until is not None and until > now_ms else FOREVER
                terms[lasts, start] += gpus
        return Held(
            self._reserved[lease_uid],
            self._bound[lease_uid],
            tuple(
                Term(until, terms[until, start], start)
                for until, start in sorted(terms, key=_order)
            ),
            tuple(sorted(self._closed.get(lease_uid, ()))),
        )

    def _count(self, claim: GpuClaim, sign: int) -> None:
        allocation = claim.status.allocation
        if allocation is None:
            return
        self.classes[claim.spec.class_name] += sign
        self.tenants[allocation.tenant_uid] += sign
        for lease_uid in _leases_of(claim, allocation):
            self.leases[lease_uid] += sign
        by_state = self._bound if allocation.bound_time is not None else self._reserved
        until = allocation.until_time
        for place in allocation.placements:
            by_state[place.lease_uid] += sign * place.gpus
            self._add(place.lease_uid, (until, None), sign * place.gpus)
        if (move := claim.status.move) is not None:
            there, _ = end_there(allocation, move)
            for place in fresh_nodes(allocation, move):
                self._reserved[place.lease_uid] += sign * place.gpus
                self._add(place.lease_uid, (there, None), sign * place.gpus)
        for left in claim.status.leaving:
            for place in left.placements if left.freed_time is None else ():
                expected = Millis(left.release_time + RELEASE_MS)
                self._reserved[place.lease_uid] += sign * place.gpus
                self._add(place.lease_uid, (expected, None), sign * place.gpus)
        for booking in allocation.bookings if allocation.is_ahead else ():
            window = (until, claim.spec.schedule.start_time)
            self._add(booking.lease_uid, window, sign * booking.gpus)

    def _renew_unread(self) -> None:
        """Count claims that can't be read; one that was read before is counted once for each lease."""
        found = unread_holders(self._claims)
        awaited = {claim.metadata.key: claim for claim in self._awaited}
        known = (self._claims.named(each.key) or awaited.get(each.key) for each in found)
        beyond = [_beyond(each, claim) for each, claim in zip(found, known, strict=True)]
        if beyond != self._beyond:
            for each in self._beyond:
                self._count_unread(each, -1)
            for each in beyond:
                self._count_unread(each, 1)
            self._beyond = beyond
        if found != self._unread:
            self._unread, self._closed = found, defaultdict(list)
            for each in found:
                for uid in each.leases:
                    self._closed[uid].append(each.key)

    def _count_unread(self, each: UnreadHolder, sign: int) -> None:
        """Count what is kept from deletion; how many GPUs it is, only nodes' own books say."""
        self.leases.update(dict.fromkeys(each.leases, sign))
        self.classes.update(dict.fromkeys(each.classes, sign))
        self.tenants.update(dict.fromkeys(each.tenants, sign))

    def _add(self, lease_uid: str, window: _Window, gpus: int) -> None:
        found = self._windows[lease_uid]
        found[window] += gpus
        if not found[window]:
            del found[window]


def _leases_of(claim: GpuClaim, allocation: Allocation) -> set[str]:
    return {p.lease_uid for p in all_nodes(claim)} | allocation.lease_uids


def _beyond(each: UnreadHolder, known: GpuClaim | None) -> UnreadHolder:
    """Return what a claim holds beyond what was read of it before."""
    held = held_by(known) if known is not None else None
    if known is None or held is None:
        return each
    return replace(
        each,
        leases=each.leases - _leases_of(known, held),
        classes=each.classes - {known.spec.class_name},
        tenants=each.tenants - {held.tenant_uid},
    )


def _order(window: tuple[Millis, Millis | None]) -> tuple[Millis, Millis]:
    until, start = window
    return (until, start if start is not None else Millis(0))
