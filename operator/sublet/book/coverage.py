"""Coverage at an instant, past or future: committed, used, unsold and uncovered GPUs of each lease, and their money.

committed = used - uncovered + unsold, at any instant. Used is what claims hold; uncovered is used beyond what is
committed. TakeOrPay leases cost what is committed, PayAsYouGo leases what is used, and what is used beyond the
commitment; each at its own price if the contract has one. Tenants pay for what is bound. Read by metrics and reports of the platform team, never by tenants.
Over time: `sublet.book.balance`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.rating import Rate
from sublet.api.times import Millis
from sublet.book.bill import bill_at
from sublet.book.contract import committed_at
from sublet.book.maintenance import away_at
from sublet.book.spans import Span, spans_of
from sublet.book.trade import Trade
from sublet.book.view import View


@dataclass(frozen=True, slots=True)
class LeaseCoverage:
    """One lease at one instant, in GPUs."""

    lease_uid: LeaseUID
    committed: int
    """By the contract; 0 outside its term, or if the lease is gone."""
    used: int
    """Held by claims: reserved, bound or being taken back."""
    trade: Trade
    """Money per hour."""
    maintenance: int = 0
    """Committed GPUs that maintenance takes out of sale."""
    uncovered_claims: tuple[ClaimUID, ...] = ()
    """Claims that hold GPUs beyond the commitment: those that were decided last."""

    @property
    def unsold(self) -> int:
        """Return the GPUs that are committed and not used."""
        return max(0, self.committed - self.used)

    @property
    def uncovered(self) -> int:
        """Return the GPUs that are used beyond what is committed."""
        return max(0, self.used - self.committed)


def coverage(view: View, at_ms: Millis) -> list[LeaseCoverage]:
    """Return each lease's coverage at an instant, by lease UID.

    GPUs that claims hold of a lease that is gone are covered by nothing; they stand under its UID.
    """
    spans = spans_of(view.claims, view.classes, view.now_ms)
    leases = {LeaseUID(lease.metadata.uid): lease for lease in view.leases}
    return [
        _coverage(uid, leases.get(uid), spans.get(uid, []), at_ms)
        for uid in sorted({*leases, *spans})
        if uid in leases or any(s.holds_at(at_ms) for s in spans[uid])
    ]


def _coverage(
    uid: LeaseUID, lease: GpuLease | None, spans: Sequence[Span], at_ms: Millis
) -> LeaseCoverage:
    held = [span for span in spans if span.holds_at(at_ms)]
    used = sum(span.gpus for span in held)
    committed = committed_at(lease, at_ms) if lease is not None else 0
    sold: Counter[Rate] = Counter()
    given_up: Counter[Rate] = Counter()
    for span in (s for s in spans if s.pays_at(at_ms)):
        (given_up if span.is_given_up else sold)[span.rate] += span.gpus
    bill = bill_at(lease, committed, used, at_ms) if lease is not None else None
    away = away_at(lease, at_ms) if lease is not None else 0
    trade = Trade.of(sold, given_up, bill)
    return LeaseCoverage(uid, committed, used, trade, away, _beyond(held, committed))


def _beyond(held: Iterable[Span], committed: int) -> tuple[ClaimUID, ...]:
    """Return the claims that no longer fit in the commitment when it is filled in the order of decision."""
    found, total = [], 0
    for span in sorted(held, key=lambda s: (s.from_ms, s.claim_uid)):
        total += span.gpus
        if total > committed:
            found.append(span.claim_uid)
    return tuple(dict.fromkeys(found))  # one that moves within a lease holds it twice
