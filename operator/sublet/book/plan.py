"""One planning pass: read the view, decide for every claim that needs something. The book's front door.

Claims that hold GPUs are fixed points and only reviewed; pending ones are served in order. A claim that finds no
place never stops another of its class or tenant.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID, TenantName
from sublet.api.relocation import PlacedNode
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.across import disputed_nodes, usual_sizes
from sublet.book.agreed import agreed_on
from sublet.book.bargain import MENDED_BY_TIME, Bargain, Looks
from sublet.book.budget import Budgets
from sublet.book.cancellation import terms_of
from sublet.book.decisions import Decision, Notice, Plan, Refuse, Reserve, Warn
from sublet.book.demand import Demand, Rules
from sublet.book.due import next_due
from sublet.book.expiry import review
from sublet.book.holdings import Holdings, asks, holds
from sublet.book.inventory import LeaseInventory
from sublet.book.lost import astray, last_words, living, lost_uids
from sublet.book.means import Means
from sublet.book.notices import notices, tell_first
from sublet.book.order import Shares, in_turn, rank_of_holder
from sublet.book.pardon import Pardons
from sublet.book.placement import Candidate, end_of
from sublet.book.pools import tiers_of
from sublet.book.preemption import Preemption
from sublet.book.promises import Promises, give
from sublet.book.quotes import answers
from sublet.book.relocation import Relocations
from sublet.book.search import Search
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply
from sublet.book.troubles import troubles
from sublet.book.view import View


def plan(view: View) -> Plan:
    """Return the decisions for a view, in the order in which they were made, and when to look again."""
    return begin(view)[0]


def begin(view: View) -> tuple[Plan, "Pass"]:
    """Return the plan for a view, and the state that making it left."""
    holders: list[GpuClaim] = []
    pending: list[GpuClaim] = []
    for claim in view.claims:
        if holds(claim):
            holders.append(claim)
        elif asks(claim):
            pending.append(claim)
    holders.sort(key=rank_of_holder)
    work = Pass(view, holders)
    decisions = work.decide(pending)
    due = next_due(view, holders, work.waiting, decisions, work.leaving, work.budgets)
    due = min((at for at in (due, *work.dues) if at is not None), default=None)
    return Plan(tuple(decisions), due, work.unseen), work


class Pass:
    """The state of one pass: what is held, what is free, what was given."""

    def __init__(self, view: View, holders: Sequence[GpuClaim]) -> None:
        self.holders = holders
        self.waiting: list[Demand] = []
        """Claims that found no place."""
        self.behind = 0
        """How many of them, from the first on, whoever comes next must not be in front of: room is kept for the last."""
        self.passed_over: list[Looks | None] = []
        """Of each of them, for want of whose looks no start was looked for; None where one was."""
        self.is_settled = True
        """The same claims, planned anew, would leave this very state."""
        self._has_hopes = False
        """Room was looked for in time for one of those that wait, or parts of it."""
        self._positions: Counter[str] = Counter()  # class -> claims that wait, so far
        self._quotes_due_ms: Millis | None = None
        self._told_due_ms: Millis | None = None
        self._view = view
        self.rules = Rules(view)
        rests = {
            LeaseUID(x.metadata.uid): x.spec.term.quarantine_seconds * MS_PER_SECOND
            for x in view.leases
        }
        now_ms = view.now_ms
        self.holdings = Holdings(holders, view.inventories.values(), now_ms, rests, view.unread)
        self.leaving = self.holdings.leaving
        """Until when claims that are leaving their nodes are expected to be gone."""
        disputed = disputed_nodes(view.inventories.values())
        self._supplies: dict[
            LeaseUID, LeaseSupply
        ] = {}  # by UID, so that the order is always the same
        usual = usual_sizes(view.leases, view.inventories)
        for lease in sorted(living(view.leases), key=lambda each: each.metadata.uid):
            uid = LeaseUID(lease.metadata.uid)
            inventory = view.inventories.get(uid) or LeaseInventory(uid)
            self._supplies[uid] = LeaseSupply(
                lease,
                inventory,
                self.holdings,
                view.now_ms,
                disputed,
                usual.get(lease.spec.product),
                tiers_of(view.classes, lease.spec.products, self.holdings.promises),
            )
        self.shares = Shares(
            self.holdings.by_tenant, self._class_gpus, self._classes_of, view.usage
        )
        self.budgets = Budgets(view)
        self._preemption = Preemption(
            holders, self.rules.offer, self._supplies, view.busy, view.now_ms
        )
        self._grants = grants = Means(view.tenants, self.holdings, self.budgets).grant
        let_off = Means(view.tenants, self.holdings, self.budgets, beside_kept=True)
        self._pardons = Pardons(
            holders, self.rules.offer, self._supplies, view.busy, view.now_ms, let_off
        )
        self._search = Search(self._supplies, self.holdings, self.budgets)
        self._bargain = Bargain(
            holders, self.rules, view.now_ms, self._search, self._preemption, self._pardons
        )
        self._promises = Promises(
            self.holdings.promises, self.rules, self._supplies, view.now_ms, grants
        )
        self._relocations = Relocations(holders, self.rules, self._supplies, view.now_ms, grants)
        for supply in self._supplies.values():
            supply.close_windows()  # after the promises: they are kept through maintenance

    def decide(self, pending: Iterable[GpuClaim]) -> list[Decision]:
        """Return the decisions: about claims that hold GPUs, promises, pending claims, and what they are told."""
        made: list[Decision] = [*last_words(self.holders, self._view)]
        reviews = (
            self._review(),
            self._promises.review(),
            self.budgets.drains(self.holders, self.rules.offer),
        )
        for review_ in reviews:
            decided = {d.claim_uid for d in made}
            made += (d for d in review_ if d.claim_uid not in decided)
        made = tell_first(made, self.holders, self.rules.offer, self._view.now_ms)
        made += self._promises.decide({d.claim_uid for d in made})
        stray = astray(self.holders, self._view.leases)
        made += self._relocations.decide({d.claim_uid for d in made} | self._view.busy | stray)
        decided = {d.claim_uid for d in made} | self._view.busy
        made += troubles(self.holders, decided, self._view)
        if any(isinstance(d, Notice) for d in made):
            self._told_due_ms = self._view.now_ms  # what they are of waits for nothing else
        self.is_settled = all(isinstance(d, Warn) for d in made) and not self._pardons.are_asked_for
        self._preemption.spare({d.claim_uid for d in made})
        self._pardons.spare({d.claim_uid for d in made})
        made += self._serve(pending)
        made += self._pardons.decisions
        made += self._preemption.decisions
        self.is_settled &= not self._preemption.decisions
        decided = {d.claim_uid for d in made}
        news = notices(self.holders, self.rules.offer, self._view.now_ms)
        return [*made, *(notice for notice in news if notice.claim_uid not in decided)]

    def _review(self) -> Iterator[Decision]:
        """Yield releases and moved ends of claims that hold nodes, best-ranked first."""
        lost = lost_uids(self._view.leases)
        for claim in self.holders:
            if claim.status.allocation is not None and not claim.status.allocation.is_ahead:
                offer = self.rules.offer(claim.spec.class_name)
                found = review(claim, offer, self._supplies, self._view.now_ms, self._grants, lost)
                if found is not None:
                    yield found

    def _serve(self, pending: Iterable[GpuClaim]) -> list[Decision]:
        """Return a decision for each pending claim: claim-wide refusals by UID, then the others best-ranked first.

        Offers are looked for at last: what those that wait get, and the room that is kept for them, is no one else's.
        """
        refused: list[tuple[GpuClaim, Refuse]] = []
        demands: list[Demand] = []
        for claim in pending:
            read = self.rules.read(claim)
            if isinstance(read, Refuse):
                refused.append((claim, read))
            else:
                demands.append(read)
        served = [self.decide_on(demand) for demand in in_turn(demands, self.shares)]
        self._pardons.grant(None)
        found = answers(refused, self._view.now_ms, self._bargain.over_whole)
        self._quotes_due_ms = found.due_ms
        return [*found.refusals, *served]

    def _class_gpus(self, class_name: str) -> int:
        """Return the GPUs that stand for a class."""
        offer = self.rules.offer(class_name)
        products = frozenset(offer.spec.products) if offer is not None else frozenset()
        return sum(s.gpus for s in self._supplies.values() if not s.products.isdisjoint(products))

    def _classes_of(self, uid: LeaseUID) -> list[str]:
        """Return the classes that a lease's GPUs stand for."""
        supply = self._supplies.get(uid)
        products = supply.products if supply is not None else frozenset()
        return [c.metadata.name for c in self._view.classes if products & set(c.spec.products)]

    def go_on(self, view: View) -> None:
        """Go on with what was decided in a later view, in which all of it stands."""
        self._view, self.rules = view, Rules(view)
        self._search.forget()
        self._bargain.go_on(self.rules, view.now_ms)
        for supply in self._supplies.values():
            supply.go_on(view.now_ms)

    @property
    def dues(self) -> tuple[Millis | None, ...]:
        """Return when to go on with quotes that nobody had time for, when notice is to be given, and when told ends are due."""
        return (self._quotes_due_ms, self._preemption.due_ms, self._told_due_ms)

    @property
    def unseen(self) -> tuple[PlacedNode, ...]:
        """Return the nodes that claims hold and their clusters don't list."""
        return self._relocations.unseen

    def is_to_move(self, claim: GpuClaim) -> bool:
        """Say whether a claim that is bound now may have to come to other nodes."""
        return self._relocations.concern(claim, self._view.now_ms)

    def decide_on(self, demand: Demand) -> Reserve | Refuse:
        """Serve one demand, whose turn it is."""
        self._pardons.grant(demand.priority)
        found = self._search.serve(demand)
        if not isinstance(found, Refuse):
            return self._give(*found)
        self.waiting.append(demand)
        self._has_hopes |= demand.claim.spec.min_gpus is not None or found.reason in MENDED_BY_TIME
        self._positions[demand.claim.spec.class_name] += 1
        position = self._positions[demand.claim.spec.class_name]
        self.passed_over.append(self._bargain.passed_over(demand, found.reason))
        if self.passed_over[-1] is not None:
            self._bargain.leave(demand, found)
            return replace(found, position=position)
        told = self._bargain.over(demand, found)
        if told.estimated_ms is not None and not demand.is_ahead:
            self.behind = len(self.waiting)
        return replace(told, position=position)

    def _give(self, demand: Demand, found: Candidate) -> Reserve:
        # one that was placed up to maintenance may be let stay longer once that is written
        self.is_settled &= found.stops_ms >= FOREVER and self._keeps_settled(demand)
        demand = replace(demand, stops_ms=found.stops_ms)
        until_ms, cause = end_of(demand, found.supplies)
        end_ms = until_ms if until_ms is not None else FOREVER
        give(demand, found, end_ms)
        self.budgets.count(demand, end_ms)
        self._search.forget()
        self.holdings.by_tenant.count(
            demand.tenant_uid,
            demand.claim.spec.class_name,
            demand.gpus,
            demand.start_ms,
            end_ms,
        )
        return Reserve(
            claim_uid=demand.uid,
            sequence=demand.claim.status.next_sequence,
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
            cancellation=terms_of(demand),
            agreed=agreed_on(demand.claim, demand.offer),
        )

    def _keeps_settled(self, demand: Demand) -> bool:
        """Say whether it makes no difference to those that wait if this claim got its GPUs before their turn."""
        if demand.is_ahead or self._has_hopes:
            return False
        return all(d.tenant_uid != demand.tenant_uid for d in self.waiting)
