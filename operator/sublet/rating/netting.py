"""Each incident from both sides: what tenants were credited for it, and what the landlord owes. Pure."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sublet.api.ids import LeaseUID
from sublet.rating.model import Category, Charge
from sublet.rating.money import Exchange, Money, minus, plus
from sublet.rating.sla import Incident


@dataclass(frozen=True, slots=True)
class Netted:
    """One incident, or the credits that no incident of a landlord stands behind."""

    incident: Incident | None
    credits: tuple[Charge, ...]
    owed: Money
    """By the landlord."""
    credited: Money
    """To tenants; above 0."""

    @property
    def net(self) -> Money:
        """Return what is left of the landlord's word when tenants have theirs; below 0 it is ours to bear."""
        return minus(self.owed, self.credited)


def netting(
    incidents: Sequence[Incident], charges: Sequence[Charge], exchange: Exchange | None = None
) -> list[Netted]:
    """Return every incident with the credits that belong to it, and last the credits without one, if there are any.

    A credit belongs to the incident of its lease that it overlaps longest, the earlier one of two: each stands once, whole. Both sides
    are converted at the incident's end, or a credit without one at its own, if an exchange is given; NoRate if that can't be.
    """
    by_lease: dict[LeaseUID, list[Incident]] = defaultdict(list)
    for incident in sorted(incidents, key=lambda x: x.from_ms):
        by_lease[incident.lease_uid].append(incident)
    ends = {uid: [x.to_ms for x in each] for uid, each in by_lease.items()}
    found: dict[tuple[LeaseUID, int] | None, list[Charge]] = defaultdict(list)
    for charge in charges:
        if charge.category is Category.CREDIT:
            uid = charge.lease_uid
            mine = by_lease.get(uid, [])
            index = _belongs(charge, mine, ends.get(uid, []))
            found[None if index is None else (uid, index)].append(charge)
    keep = exchange or Exchange()
    netted = [
        _netted(incident, found[uid, index], keep)
        for uid, each in sorted(by_lease.items())
        for index, incident in enumerate(each)
    ]
    return [*netted, *([_netted(None, found[None], keep)] if found[None] else [])]


def _belongs(charge: Charge, incidents: Sequence[Incident], ends: Sequence[int]) -> int | None:
    best, longest = None, 0
    # a downtime of the month before, credited with the rest of its incident, has no length in this one
    end_ms = max(charge.to_ms, charge.from_ms + 1)
    for index in range(bisect_right(ends, charge.from_ms), len(incidents)):
        incident = incidents[index]
        if incident.from_ms >= end_ms:
            break
        overlap = min(incident.to_ms, end_ms) - max(incident.from_ms, charge.from_ms)
        if overlap > longest:
            best, longest = index, overlap
    return best


def _netted(incident: Incident | None, credits_: Sequence[Charge], exchange: Exchange) -> Netted:
    credited: Money = {}
    for charge in credits_:
        at_ms = charge.to_ms if incident is None else incident.to_ms
        currency, amount = exchange.convert(-charge.amount, charge.currency, at_ms)
        credited = plus(credited, currency, amount)
    owed: Money = {}
    if incident is not None:
        owed = dict([exchange.convert(incident.amount, incident.currency, incident.to_ms)])
    return Netted(incident, tuple(credits_), owed, credited or dict.fromkeys(owed, Fraction(0)))
