"""What a scrape shows of the ledger: sums of what is closed, and of what lasts as far as it is known to. Pure.

None stands for what nobody knows yet, as after a start before a cluster was heard of: such a series is absent, never wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.rating import Rate, charges
from sublet.api.times import Millis
from sublet.ledger.entry import EntryKind, Fact
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.model import LeaseState
from sublet.serve.families import Ratchet
from sublet.serve.horizon import Horizon
from sublet.serve.sums import Ledgered

K = TypeVar("K")
States = Mapping[LeaseUID, Mapping[LeaseState, int]]
"""lease -> state -> GPU-milliseconds"""


@dataclass(slots=True)
class ClaimLook:
    """One claim's share."""

    namespace: str
    name: str
    since_ms: Millis
    billed: int | None
    """GPU-milliseconds"""
    down: dict[str, int | None]
    """cause -> milliseconds"""


@dataclass(slots=True)
class Look:
    """The ledger at one instant."""

    bound: dict[tuple[TenantUID, LeaseUID], int | None]
    """GPU-milliseconds"""
    beside: dict[tuple[LeaseUID, EntryKind], int | None]
    charges: dict[tuple[TenantUID, str], Decimal | None]
    """(tenant, currency) -> gross amount"""
    credits: Mapping[tuple[TenantUID, str], Decimal]
    corrections: Mapping[tuple[TenantUID, str], Decimal]
    claims: dict[ClaimUID, ClaimLook]
    since: Mapping[tuple[str, ...], Millis]
    entries: Counter[EntryKind]
    last_at_ms: Millis | None
    conflict: bool = False
    """Two records of one happening disagree: new binds have stopped."""
    takes_nothing: bool = False
    """What was written last wasn't taken."""
    states: States = field(default_factory=dict)
    states_since: Mapping[LeaseUID, Millis] = field(default_factory=dict)
    deadlines: Mapping[LeaseUID, Millis] = field(default_factory=dict)
    leases: Mapping[LeaseUID, LeaseTerms] = field(default_factory=dict)
    """As the ledger knows them, also those that are gone."""
    tenants: Mapping[TenantUID, TenantTerms] = field(default_factory=dict)


class Looking:
    """Makes looks of the running sums."""

    def __init__(self, ledgered: Ledgered, ratchet: Ratchet) -> None:
        """`ratchet` holds what counters have shown."""
        self._ledgered = ledgered
        self._ratchet = ratchet

    def look(self, horizon: Horizon) -> Look:
        """Return the ledger as far as it is known now."""
        sums = self._ledgered.sums
        found = Look(
            bound=dict(sums.bound),
            beside=dict(sums.beside),
            charges={},
            credits=dict(sums.credits),
            corrections=dict(sums.corrections),
            claims={
                uid: ClaimLook(c.namespace, c.name, c.since_ms, c.billed, dict(c.down))
                for uid, c in sums.claims.items()
            },
            since=dict(sums.since),
            entries=Counter(sums.entries),
            last_at_ms=sums.last_at_ms,
        )
        self._charge(found, self._add_lasting(found, horizon))
        self._hold(found)
        return found

    def states(self, found: States) -> States:
        """Return what leases' states show."""
        return {
            uid: {s: self._ratchet.hold(("state", uid, s.value), v) for s, v in each.items()}
            for uid, each in found.items()
        }

    def forget(self, claims: set[ClaimUID]) -> None:
        """Forget claims that aren't shown any more."""
        self._ratchet.forget(lambda key: key[0] in ("claim", "down") and key[1] in claims)

    def _add_lasting(self, found: Look, horizon: Horizon) -> dict[tuple[TenantUID, Rate], int]:
        """Add what lasts; return what of it is billed beside its price."""
        priced: dict[tuple[TenantUID, Rate], int] = defaultdict(int)
        ledgered, claims = self._ledgered, found.claims
        for fact in ledgered.fold.open.values():
            kind = fact.kind
            if kind is EntryKind.CANCELLED:
                continue
            end = horizon.of_opening(fact)
            if end is None:
                self._unknown(found, fact)
                continue
            lasted = max(0, end - fact.at_ms)
            amount = fact.gpus * lasted
            claim = claims[fact.claim_uid]
            if kind is not EntryKind.BOUND:
                _add(found.beside, (fact.lease_uid, kind), amount)
                if kind is EntryKind.DOWNTIME:
                    _add(claim.down, ledgered.cause(fact.price_hash), lasted)
                continue
            _add(found.bound, (fact.tenant_uid, fact.lease_uid), amount)
            claim.billed = None if claim.billed is None else claim.billed + amount
            for rate, quantity in ledgered.pieces(fact, fact.at_ms, end):
                priced[fact.tenant_uid, rate] += quantity
        return priced

    def _unknown(self, found: Look, fact: Fact) -> None:
        if fact.kind is not EntryKind.BOUND:
            found.beside[fact.lease_uid, fact.kind] = None
            if fact.kind is EntryKind.DOWNTIME:
                down = found.claims[fact.claim_uid].down
                down[self._ledgered.cause(fact.price_hash)] = None
            return
        found.bound[fact.tenant_uid, fact.lease_uid] = None
        found.claims[fact.claim_uid].billed = None
        for rate, _ in self._ledgered.pieces(fact, fact.at_ms, fact.at_ms):
            found.charges[fact.tenant_uid, rate.currency] = None

    def _charge(self, found: Look, priced: dict[tuple[TenantUID, Rate], int]) -> None:
        by_tenant: dict[TenantUID, dict[Rate, int]] = {}
        for source in (self._ledgered.sums.priced, priced):
            for (tenant, rate), quantity in source.items():
                mine = by_tenant.setdefault(tenant, {})
                mine[rate] = mine.get(rate, 0) + quantity
        for tenant, mine in by_tenant.items():
            for currency, amount in charges(mine).items():
                found.charges.setdefault((tenant, currency), amount)

    def _hold(self, found: Look) -> None:
        hold = self._ratchet.hold
        for of_tenant, quantity in found.bound.items():
            if quantity is not None:
                found.bound[of_tenant] = hold(("bound", *of_tenant), quantity)
        for of_lease, quantity in found.beside.items():
            if quantity is not None:
                found.beside[of_lease] = hold(("beside", *of_lease), quantity)
        for charged, amount in found.charges.items():
            if amount is not None:
                found.charges[charged] = hold(("charges", *charged), amount)
        for uid, claim in found.claims.items():
            if claim.billed is not None:
                claim.billed = hold(("claim", uid), claim.billed)
            for cause, milliseconds in claim.down.items():
                if milliseconds is not None:
                    claim.down[cause] = hold(("down", uid, cause), milliseconds)


def _add(table: dict[K, int | None], key: K, amount: int) -> None:
    known = table.get(key, 0)
    table[key] = None if known is None else known + amount
