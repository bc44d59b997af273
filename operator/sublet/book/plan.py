"""One planning pass: read the view, decide for every claim that needs something. The book's front door.

Claims that hold GPUs are fixed points and only reviewed; pending ones are served in order: priority, then age,
then UID. A claim that finds no place never stops another of its class or tenant.
"""

from collections.abc import Iterable

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID, TenantName
from sublet.api.times import Millis
from sublet.book.decisions import Decision, Extend, Plan, Refuse, Reserve
from sublet.book.demand import Demand, Rules
from sublet.book.expiry import review
from sublet.book.holdings import Holdings, holds
from sublet.book.inventory import LeaseInventory
from sublet.book.placement import Candidate, end_of, find_place
from sublet.book.reasons import quota_refusal, refusal
from sublet.book.supply import LeaseSupply
from sublet.book.view import View


def plan(view: View) -> Plan:
    """Return the decisions for a view, sorted by claim UID within each step, and when to look again."""
    leases = {LeaseUID(lease.metadata.uid): lease for lease in view.leases}
    decisions: list[Decision] = []
    pending: list[GpuClaim] = []
    for claim in sorted(view.claims, key=lambda c: c.metadata.uid):
        if holds(claim) and claim.status.allocation is not None:
            found = review(claim, claim.status.allocation, leases, view.now_ms)
            decisions += [found] if found is not None else []
        elif claim.metadata.deletion_timestamp is None and not is_true(
            claim.status.conditions, "Ended"
        ):
            pending.append(claim)
    decisions += _Pass(view).serve(pending)
    return Plan(tuple(decisions), _next_due(view, decisions))


class _Pass:
    """The state of one pass: what is held, what is free, what was given."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._rules = Rules(view)
        self._holdings = Holdings(view.claims, view.inventories.values())
        self._supplies = [
            LeaseSupply(
                lease,
                view.inventories.get(LeaseUID(lease.metadata.uid))
                or LeaseInventory(LeaseUID(lease.metadata.uid)),
                self._holdings,
                view.now_ms,
            )
            for lease in sorted(view.leases, key=lambda each: each.metadata.uid)
            if lease.metadata.deletion_timestamp is None
        ]

    def serve(self, pending: Iterable[GpuClaim]) -> list[Decision]:
        """Return a decision for each pending claim, best-ranked first."""
        decisions: list[Decision] = []
        demands: list[Demand] = []
        for claim in pending:
            read = self._rules.read(claim)
            if isinstance(read, Refuse):
                decisions.append(read)
            else:
                demands.append(read)
        return decisions + [self._decide(d) for d in sorted(demands, key=_rank)]

    def _decide(self, demand: Demand) -> Decision:
        limit = demand.tenant.spec.quota_of(demand.claim.spec.class_name)
        held = self._holdings.of_tenant(demand.tenant_uid, demand.claim.spec.class_name)
        if limit is not None and held + demand.gpus > limit:
            return quota_refusal(demand, held, limit)
        found = find_place(demand, self._supplies, self._view.now_ms)
        return self._give(demand, found) if isinstance(found, Candidate) else refusal(demand, found)

    def _give(self, demand: Demand, found: Candidate) -> Reserve:
        until_ms, cause = end_of(demand, [p.supply for p in found.places])
        for place in found.places:
            place.supply.mark_taken(place.node, place.gpus)
            self._holdings.take(
                demand.uid,
                demand.tenant_uid,
                demand.claim.spec.class_name,
                place.supply.uid,
                place.node.uid,
                place.gpus,
                until_ms,
            )
        last = demand.claim.status.allocation
        return Reserve(
            claim_uid=demand.uid,
            sequence=last.sequence + 1 if last is not None else 1,
            tenant=TenantName(demand.tenant.metadata.name),
            tenant_uid=demand.tenant_uid,
            price_per_gpu_hour=demand.price,
            currency=demand.offer.spec.currency,
            priority=demand.priority,
            decided_ms=self._view.now_ms,
            until_ms=until_ms,
            until_cause=cause,
            placements=tuple(p.as_api() for p in found.places),
        )


def _rank(demand: Demand) -> tuple[int, int, str]:
    return (-demand.priority, demand.claim.metadata.creation_timestamp or 0, demand.uid)


def _next_due(view: View, decisions: Iterable[Decision]) -> Millis | None:
    """Return the next instant at which the same objects would be decided differently."""
    instants: list[Millis | None] = []
    instants += [
        c.status.allocation.until_time for c in view.claims if c.status.allocation is not None
    ]
    instants += [d.until_ms for d in decisions if isinstance(d, Reserve | Extend)]
    for lease in view.leases:
        term = lease.spec.term
        instants += [term.start_time, term.last_usable_ms()]
        instants += [p.start_time for p in lease.spec.commitment.phases]
    instants += [p.effective_time for c in view.classes for p in c.spec.prices]
    return min((at for at in instants if at is not None and at > view.now_ms), default=None)
