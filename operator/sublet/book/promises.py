"""Windows that were promised ahead: kept free until they begin, made nodes at their start, and mended when they slip.

A promise counts against its lease from the first pass on, so that nothing that comes later is sold what it needs. A
phase that comes late, a node that fails or a smaller commitment can still leave too little: then as many promises as
possible keep their room, small ones first among equals, and what is left is kept for the others, each of which is moved
to another lease if there is room, and is told if there isn't. A promise is never dropped. Those of claims that can't be
read, or wait to be adopted, keep their room before all others, since nobody could move them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from sublet.api import claim_status
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID, TenantName, TenantUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.api.wording import how_many
from sublet.book.agreed import agreed_before
from sublet.book.decisions import Decision, Extend, Reserve, Take, Warn
from sublet.book.demand import Demand, Rules
from sublet.book.domains import must_have_domain
from sublet.book.expiry import (
    End,
    Grants,
    granted_end,
    moved,
    own_end_ms,
    promised_end,
    review,
    take_if_due,
)
from sublet.book.holdings import RELEASE_MS, Promise
from sublet.book.kept import Kept, hold, hold_on, keep_left, lasts_until, room_from
from sublet.book.maintenance import end_cause
from sublet.book.placement import Candidate, Place, find_place
from sublet.book.standing import Standing, Standings
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply

Supplies = Mapping[LeaseUID, LeaseSupply]


class Promises:
    """The promises of one pass, in the order in which they are kept if not all can be."""

    def __init__(
        self,
        promises: Iterable[Promise],
        rules: Rules,
        supplies: Supplies,
        now_ms: Millis,
        grants: Grants,
    ) -> None:
        """Keep room for the promises that can be kept on their own leases, then what is left for the others."""
        self._rules = rules
        self._supplies = supplies
        self._grants = grants
        self._now_ms = now_ms
        for supply in supplies.values():
            _keep_unread(supply, now_ms)
        self._kept = [self._keep(each) for each in sorted(promises, key=_order)]
        for kept in self._kept:
            if kept.missing:
                self._keep_what_is_left(kept)

    def review(self) -> Iterator[Take | Extend]:
        """Yield what was given up or is over, and ends that moved."""
        for kept in self._kept:
            found = self._review(kept, self._grants)
            if found is not None:
                yield found

    def _review(self, kept: Kept, grants: Grants) -> Take | Extend | None:
        """Return what a promise that has no nodes needs: to be taken back, another end, or nothing."""
        claim, held = kept.promise.claim, kept.promise.allocation
        own_ms = own_end_ms(claim, held, self._rules.offer(claim.spec.class_name))
        end = granted_end(claim, held, self._end_on_leases(kept, own_ms), grants)
        taken = take_if_due(claim, held, end, self._now_ms)
        if taken is not None or end.at_ms == kept.promise.until_ms:
            return taken
        if end.at_ms > kept.promise.until_ms:
            hold_on(kept, end.at_ms)
        return moved(claim, held, end, self._now_ms)

    def decide(self, decided: Collection[ClaimUID]) -> Iterator[Decision]:
        """Yield nodes for windows that have begun, other leases for those that slip, and warnings.

        Claims that something was decided for are left to the next pass. What is well goes first, and nobody is let stay
        longer before all promises have what there is for them.
        """
        mended: list[tuple[Kept, Promise]] = []  # as it lies now, and as it was
        for kept in sorted(self._kept, key=lambda k: bool(k.missing)):
            if kept.uid in decided or kept.promise.until_ms <= self._now_ms:
                continue
            begun = kept.promise.start_ms <= self._now_ms
            # a claim that is just leaving its node makes no promise slip: in a moment it is gone
            soon = kept.promise.start_ms - self._now_ms <= RELEASE_MS
            if begun or (kept.missing and not soon):
                before = kept.promise
                demand = self._rules.promised(before.claim, before.allocation)
                if demand is None:
                    yield from _said(kept, "its class or its tenant is gone; ask the platform team")
                elif self._mend(kept, demand):
                    mended.append((kept, before))
                else:
                    yield from self._told(kept, begun=begun)
            elif not kept.missing:
                yield from _said(kept, "")
        for kept, before in mended:
            self._stay(kept, before)
            yield _as_promised(kept.promise)

    def _keep(self, promise: Promise) -> Kept:
        """Keep all of a promise's room, or none of it."""
        places: list[Place] = []
        missing: list[str] = []
        kept = Kept(promise, max(promise.start_ms, self._now_ms), promise.until_ms)
        if promise.until_ms <= self._now_ms:
            return kept
        for booking in promise.allocation.bookings:
            supply = self._supplies.get(LeaseUID(booking.lease_uid))
            if supply is None:
                missing.append(booking.lease)
                continue
            window = (kept.from_ms, promise.until_ms)
            pool = next(
                (
                    pool
                    for pool in supply.booked(booking)
                    if supply.can_keep(pool, booking.nodes, booking.gpus_per_node, *window)
                ),
                None,
            )
            if pool is not None and promise.until_ms <= supply.ends_ms:
                place = Place(supply, booking.gpus_per_node, None, booking.nodes, pool)
                supply.keep(pool, place.nodes, place.gpus, *window)
                places.append(place)
            elif (
                supply.inventory.synced
            ):  # of a cluster that hasn't answered nothing is known to be missing
                missing.append(booking.lease)
        kept.places, kept.missing = tuple(places), tuple(missing)
        if missing:
            hold(kept, -1)
            kept.places = ()
        return kept

    def _keep_what_is_left(self, kept: Kept) -> None:
        """Keep what there is for a promise, so that nobody else gets it: all from later on, else a part of it."""
        bookings = [
            (supply, booking)
            for booking in kept.promise.allocation.bookings
            if (supply := self._supplies.get(LeaseUID(booking.lease_uid))) is not None
        ]
        until_ms = kept.until_ms = min([kept.until_ms, *(s.ends_ms for s, _ in bookings)])
        if until_ms <= kept.from_ms:
            return
        later = [room_from(s, b, kept.from_ms, until_ms) for s, b in bookings]
        if None not in later:
            kept.from_ms = max((at for at in later if at is not None), default=kept.from_ms)
        demand = self._rules.promised(kept.promise.claim, kept.promise.allocation)
        moves = demand is not None and not must_have_domain(demand)
        for supply, booking in bookings:
            kept.places += tuple(keep_left(supply, booking, kept.from_ms, until_ms, moves=moves))

    def _end_on_leases(self, kept: Kept, own_ms: Millis) -> End:
        """Return a promise's end by its own duration; a lease ends only what was to run as long as the lease does."""
        promise, before = kept.promise, promised_end(kept.promise.allocation)
        uids = promise.allocation.lease_uids
        leases = [self._supplies[LeaseUID(uid)] for uid in uids if LeaseUID(uid) in self._supplies]
        lease_ms = min((s.ends_ms for s in leases), default=before.at_ms)
        end = End(own_ms, ReleaseCause.COMPLETED if own_ms < FOREVER else None)
        if own_ms > lease_ms:
            end = End(lease_ms, ReleaseCause.LEASE_ENDED)
            if before.cause is ReleaseCause.COMPLETED or lease_ms <= promise.start_ms:
                end = End(max(lease_ms, before.at_ms), before.cause)
        if end.at_ms <= before.at_ms:
            return end if end.at_ms < before.at_ms else before
        if kept.missing or any(s.has_unread for s in leases):
            return before
        at_ms = min(lasts_until(kept, before.at_ms, end.at_ms), default=before.at_ms)
        if at_ms >= end.at_ms:
            return end
        cause = end_cause([s.lease for s in leases], at_ms)
        return End(at_ms, cause) if at_ms > before.at_ms else before

    def _mend(self, kept: Kept, demand: Demand) -> bool:
        """Give a promise nodes, or other leases, to the end that was promised; say whether there are any."""
        hold(kept, -1)
        own = [s for uid, s in self._supplies.items() if uid in kept.promise.allocation.lease_uids]
        for supply in own:
            supply.close_windows(-1)
        found = self._find(demand, kept)
        for supply in own:
            supply.close_windows()
        if found is None:
            hold(kept)
            return False
        candidate, end = found
        give(demand, candidate, end.at_ms)
        kept.from_ms, kept.until_ms = demand.start_ms, end.at_ms
        kept.places, kept.missing = candidate.places, ()
        kept.promise = _given(kept.promise, candidate, end, ahead=demand.is_ahead)
        return True

    def _told(self, kept: Kept, *, begun: bool) -> Iterator[Warn]:
        """Yield what a claim is told whose promise found no place."""
        # whoever had the nodes until its start is given the time that a release takes
        leaving = begun and self._now_ms < kept.promise.start_ms + RELEASE_MS
        if not leaving or claim_status.is_late(kept.promise.claim):
            yield from _said(kept, _shortage(kept, begun=begun))

    def _stay(self, kept: Kept, before: Promise) -> None:
        """Give what was just mended the end that a look at it in the next pass would, with all that this changes."""

        def grants(claim: GpuClaim, _: Allocation, end: End) -> End:
            # there are means for all that was promised
            is_granted = end.at_ms <= before.until_ms
            return end if is_granted else self._grants(claim, before.allocation, end)

        holder = _with(kept.promise.claim, kept.promise.allocation)
        if kept.promise.allocation.is_ahead:
            found = self._review(kept, grants)
        else:
            offer = self._rules.offer(holder.spec.class_name)
            found = review(holder, offer, self._supplies, self._now_ms, grants)
        if isinstance(found, Extend):
            end = (found.until_ms, found.until_cause)
            status = claim_status.extended(holder, *end, self._now_ms, found.given_up)
            if status.allocation is not None:
                kept.promise = replace(kept.promise, allocation=status.allocation)

    def _find(self, demand: Demand, kept: Kept) -> tuple[Candidate, End] | None:
        """Return a place for a promise and until when: on its own leases if there is one, else on any that serves it.

        A window that has begun, whose own leases end before it and that no lease can keep to its end is handed over for
        as long as any can, on its own ones if they last as long as others.
        """
        end = promised_end(kept.promise.allocation)
        uids = kept.promise.allocation.lease_uids
        own = [s for uid, s in self._supplies.items() if uid in uids and _serves(s, demand)]
        if kept.missing:  # nothing but its own room is there for it beside what nobody can read
            own = [s for s in own if not s.has_unread]
        if not all(s.inventory.synced for uid, s in self._supplies.items() if uid in uids):
            return (
                None  # a cluster that hasn't answered yet is asked before another lease pays for it
            )
        others = Standings(demand, self._supplies.values()).of(Standing.OPEN)
        domain = kept.promise.allocation.domain if must_have_domain(demand) else None
        for supplies, within in ((own, domain), (own, None), (others, None)):
            found = find_place(demand, [s for s in supplies if end.at_ms <= s.ends_ms], within)
            if found is not None:
                return found, end
        last = min((s.ends_ms for uid, s in self._supplies.items() if uid in uids), default=0)
        return None if demand.is_ahead or last >= end.at_ms else self._cut(demand, end, own)

    def _cut(
        self, demand: Demand, end: End, own: list[LeaseSupply]
    ) -> tuple[Candidate, End] | None:
        """Return the place that lasts longest for a window that begun and that none lasts for."""
        ends = {s.ends_ms for s in self._supplies.values() if self._now_ms < s.ends_ms < end.at_ms}
        for last in sorted(ends, reverse=True):
            shorter = replace(demand, asked_until_ms=last)
            others = Standings(shorter, self._supplies.values()).of(Standing.OPEN)
            for supplies in ([s for s in own if last <= s.ends_ms], others):
                if (found := find_place(shorter, supplies)) is not None:
                    return found, End(last, ReleaseCause.LEASE_ENDED)
        return None


def _keep_unread(supply: LeaseSupply, now_ms: Millis) -> None:
    """Keep what claims that are only held were promised of a lease, whatever rank they have, as far as there is room."""
    for each, booking in supply.unread_bookings:
        gpus, nodes = booking.gpus_per_node, booking.nodes
        from_ms, until_ms = max(each.from_ms, now_ms), min(each.until_ms, supply.ends_ms)
        if from_ms >= until_ms:
            continue
        found = [
            (at_ms, pool)
            for pool in supply.booked(booking)
            if (at_ms := supply.room_from(pool, gpus, nodes, from_ms, until_ms)) is not None
        ]
        if found:
            at_ms, pool = min(found)
            supply.keep(pool, nodes, gpus, at_ms, until_ms)
        else:
            tuple(keep_left(supply, booking, from_ms, until_ms, moves=False))


def give(demand: Demand, found: Candidate, until_ms: Millis) -> None:
    """Take a candidate's nodes, or the room that is promised, out of what is free."""
    for place in found.places:
        if place.node is None:
            window = (demand.start_ms, until_ms)
            place.supply.keep(place.pool, place.nodes, place.gpus, *window)
        else:
            place.supply.take(
                place.node,
                place.gpus,
                claim_uid=demand.uid,
                tenant_uid=demand.tenant_uid,
                until_ms=until_ms,
            )


def _serves(supply: LeaseSupply, demand: Demand) -> bool:
    """Say whether a lease can keep what it was promised for; who may claim it now plays no part."""
    runs = supply.begins_ms <= demand.start_ms < supply.ends_ms
    return runs and not supply.is_silent and supply.inventory.isolation_ready


def _given(promise: Promise, found: Candidate, end: End, *, ahead: bool) -> Promise:
    """Return a promise on other leases, or on nodes once it has begun."""
    update: dict[str, object] = {
        "sequence": promise.claim.status.next_sequence,
        "until_time": end.at_ms if end.at_ms < FOREVER else None,
        "until_cause": end.cause,
    }
    if ahead:
        update["bookings"] = tuple(p.as_booking() for p in found.places)
    else:
        update["placements"] = tuple(p.as_placement() for p in found.places)
    allocation = promise.allocation.model_copy(update=update)
    return replace(promise, allocation=allocation, until_ms=end.at_ms)


def _with(claim: GpuClaim, allocation: Allocation) -> GpuClaim:
    """Return a claim that holds this."""
    status = claim.status.model_copy(update={"allocation": allocation})
    return claim.model_copy(update={"status": status})


def _as_promised(promise: Promise) -> Reserve:
    """Return the decision that gives a promise nodes, or other leases, on the terms it was made on."""
    held = promise.allocation
    return Reserve(
        claim_uid=ClaimUID(promise.claim.metadata.uid),
        sequence=held.sequence,
        tenant=TenantName(held.tenant),
        tenant_uid=TenantUID(held.tenant_uid),
        price_per_gpu_hour=held.price_per_gpu_hour,
        currency=held.currency,
        priority=held.priority,
        decided_ms=held.decided_time,
        until_ms=held.until_time,
        until_cause=held.until_cause,
        placements=held.placements,
        bookings=held.bookings,
        cancellation=held.cancellation,
        given_up=held.given_up,
        agreed=agreed_before(held),
    )


def _order(promise: Promise) -> tuple[int, int, Millis, str]:
    """Small ones first among equal priorities, then those that end first: so few are broken when there is too little."""
    held = promise.allocation
    return (-held.priority, held.gpus, promise.until_ms, promise.claim.metadata.uid)


def _shortage(kept: Kept, *, begun: bool) -> str:
    bookings = kept.promise.allocation.bookings
    gpus = sum(b.gpus for b in bookings)
    where = ", ".join(sorted(set(kept.missing or (b.lease for b in bookings))))
    start = format_instant(kept.promise.start_ms)
    if begun:
        return (
            f"{how_many(gpus, 'GPU', 'was', 'were')} promised from {start} on and can't be had yet (at {where}): handed "
            "over as soon as that changes, or suspend the claim to give the promise up"
        )
    return (
        f"{how_many(gpus, 'GPU', 'is', 'are')} promised from {start} on, but {where} will have too few then as it looks now, and no "
        "other lease has room; nothing needs to be done, or suspend the claim to give the promise up"
    )


def _said(kept: Kept, message: str) -> Iterator[Warn]:
    """Yield what a claim is to be told; that all is well only where it was told otherwise."""
    if message or claim_status.is_late(kept.promise.claim):
        yield Warn(kept.uid, message)
