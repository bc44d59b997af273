"""One planning pass: read the view, decide for every claim that needs something. The book's front door.

Claims that hold GPUs are fixed points and only reviewed; pending ones are served in order. A claim that finds no
place never stops another of its class or tenant.
"""

from collections.abc import Iterable

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID, TenantName
from sublet.book.decisions import Decision, Plan, Refuse, Reserve
from sublet.book.demand import Demand, Rules
from sublet.book.due import next_due
from sublet.book.expiry import review
from sublet.book.holdings import Holdings, holds
from sublet.book.inventory import LeaseInventory
from sublet.book.order import rank, rank_of_holder
from sublet.book.placement import Candidate, end_of, find_place
from sublet.book.promises import Promises, give
from sublet.book.reasons import quota_refusal, refusal
from sublet.book.standing import Standing, Standings
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply, disputed_nodes, usual_sizes
from sublet.book.view import View


def plan(view: View) -> Plan:
    """Return the decisions for a view, in the order in which they were made, and when to look again."""
    holders: list[GpuClaim] = []
    pending: list[GpuClaim] = []
    for claim in view.claims:
        if holds(claim):
            holders.append(claim)
        elif _asks(claim):
            pending.append(claim)
    holders.sort(key=rank_of_holder)
    work = _Pass(view, holders)
    reviewed = work.review(holders)
    promised = work.promises.decide({decision.claim_uid for decision in reviewed})
    decisions = [*reviewed, *promised, *work.serve(pending)]
    return Plan(tuple(decisions), next_due(view, holders, work.waiting, decisions))


class _Pass:
    """The state of one pass: what is held, what is free, what was given."""

    def __init__(self, view: View, holders: Iterable[GpuClaim]) -> None:
        self.waiting: list[Demand] = []
        """Claims that found no place."""
        self._view = view
        self._rules = Rules(view)
        self._holdings = Holdings(holders, view.inventories.values(), view.now_ms)
        disputed = disputed_nodes(view.inventories.values())
        self._supplies: dict[
            LeaseUID, LeaseSupply
        ] = {}  # by UID, so that the order is always the same
        usual = usual_sizes(view.leases, view.inventories)
        for lease in sorted(view.leases, key=lambda each: each.metadata.uid):
            uid = LeaseUID(lease.metadata.uid)
            inventory = view.inventories.get(uid) or LeaseInventory(uid)
            self._supplies[uid] = LeaseSupply(
                lease,
                inventory,
                self._holdings,
                view.now_ms,
                disputed,
                usual.get(lease.spec.product),
            )
        self.promises = Promises(self._holdings.promises, self._rules, self._supplies, view.now_ms)

    def review(self, holders: Iterable[GpuClaim]) -> list[Decision]:
        """Return releases and moved ends of claims that hold GPUs, best-ranked first."""
        found = (
            review(c, self._rules.offer(c.spec.class_name), self._supplies, self._view.now_ms)
            for c in holders
        )
        return [decision for decision in found if decision is not None]

    def serve(self, pending: Iterable[GpuClaim]) -> list[Decision]:
        """Return a decision for each pending claim: claim-wide refusals by UID, then the others best-ranked first."""
        refused: list[Refuse] = []
        demands: list[Demand] = []
        for claim in pending:
            read = self._rules.read(claim)
            if isinstance(read, Refuse):
                refused.append(read)
            else:
                demands.append(read)
        refused.sort(key=lambda refuse: refuse.claim_uid)
        demands.sort(key=lambda demand: rank(demand.claim, demand.priority))
        return [*refused, *(self._decide(demand) for demand in demands)]

    def _decide(self, demand: Demand) -> Decision:
        found = self._find(demand)
        if isinstance(found, Candidate):
            return self._give(demand, found)
        self.waiting.append(demand)
        return found

    def _find(self, demand: Demand) -> Candidate | Refuse:
        class_name = demand.claim.spec.class_name
        limit = demand.tenant.spec.quota_of(class_name)
        until = demand.until_on(FOREVER)
        held = self._holdings.of_tenant(demand.tenant_uid, class_name, demand.start_ms, until)
        if limit is not None and held + demand.gpus > limit:
            return quota_refusal(demand, held, limit)
        standings = Standings(demand, self._supplies.values())
        found = find_place(demand, standings.of(Standing.OPEN))
        if found is not None:
            return found
        would = None
        if standings.of(Standing.SILENT):
            would = find_place(demand, standings.of(Standing.OPEN, Standing.SILENT))
        return refusal(demand, standings, would.supplies if would is not None else ())

    def _give(self, demand: Demand, found: Candidate) -> Reserve:
        until_ms, cause = end_of(demand, found.supplies)
        end_ms = until_ms if until_ms is not None else FOREVER
        give(demand, found, end_ms)
        self._holdings.count(
            demand.tenant_uid,
            demand.claim.spec.class_name,
            demand.gpus,
            demand.start_ms,
            end_ms,
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
            placements=() if demand.is_ahead else tuple(p.as_placement() for p in found.places),
            bookings=tuple(p.as_booking() for p in found.places) if demand.is_ahead else (),
        )


def _asks(claim: GpuClaim) -> bool:
    """Say whether a claim that holds nothing is to be served: it isn't going and hasn't ended for good."""
    return claim.metadata.deletion_timestamp is None and not is_true(
        claim.status.conditions, "Ended"
    )
