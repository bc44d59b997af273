"""The book between passes: a new claim is decided on the state that the last pass left, as a new pass would decide it.

Most of what happens between two passes frees nothing and changes nothing that was decided: claims come, reservations
are written and bound, the book's own words are written down. Then only claims that are new are looked at. Whatever
else happened (a release, a changed spec, a node lost, the next due time), all is planned anew; a pass is never wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress
from operator import not_

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass, Guarantee
from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.decisions import Decision, Plan, Refuse, Reserve
from sublet.book.demand import Demand
from sublet.book.due import next_due
from sublet.book.holdings import asks, holds
from sublet.book.newcomers import NEVER_TAKEN_BACK, Line
from sublet.book.notices import notices
from sublet.book.offers import is_answered
from sublet.book.pardon import is_noticed
from sublet.book.plan import Pass, begin
from sublet.book.sameness import is_carried_out, same_ask, same_nodes, same_rules, same_standing
from sublet.book.troubles import troubles
from sublet.book.view import View

SOON_MS = 2 * MS_PER_SECOND
"""How long those that wait may be told an old position and estimate."""


class Book:
    """Plans views one after another."""

    def __init__(self) -> None:
        self._kept: _Kept | None = None
        self.is_full = True
        """The last plan was made from its view alone."""

    def forget(self) -> None:
        """Plan the next view anew: something that was decided wasn't carried out, and no view will show that."""
        self._kept = None

    def plan(self, view: View) -> Plan:
        """Return the decisions for a view, or for what is new in it, and when to look again."""
        kept, self._kept = self._kept, None
        made = kept.go_on(view) if kept is not None else None
        self.is_full = made is None
        if kept is None or made is None:
            del kept
            made, work = begin(view)
            kept = _Kept(view, made, work)
        if kept.is_usable:
            self._kept = kept
        return made


@dataclass(slots=True)
class _Changes:
    """What differs in the claims of a view, as far as that can be gone on with."""

    new: list[GpuClaim] = field(default_factory=list)
    """To be decided."""
    held: list[GpuClaim] = field(default_factory=list)
    """They hold GPUs, and are written otherwise than before."""


class _Kept:
    """What the last pass left."""

    def __init__(self, view: View, made: Plan, work: Pass) -> None:
        self._view = view
        self._work = work
        self._line = Line(work)
        self._due_ms = made.next_due_ms
        self._seen = {id(claim) for claim in view.claims}
        """Versions of claims; `_claims` keeps them alive."""
        self._claims = {ClaimUID(claim.metadata.uid): claim for claim in view.claims}
        self._given: dict[ClaimUID, Reserve] = {}
        """Reservations that no view has shown yet."""
        self._estimates: list[Decision] = []
        """Refusals from whose estimate on room is kept."""
        self._starting = [c for c in work.holders if c.spec.schedule.start_time is not None]
        self._loose = {c.metadata.name for c in view.classes if _may_be_taken_back(c)}
        held = ((c, c.status.allocation) for c in work.holders)
        self._lowest = _lowest(a.priority for c, a in held if a is not None and self._is_loose(c))
        """The lowest priority of claims that may be taken back."""
        self._put_off = {
            c.metadata.uid
            for c in work.holders
            if c.metadata.uid in view.busy and (work.is_to_move(c) or is_noticed(c))
        }
        busy = (c for c in work.holders if c.metadata.uid in view.busy)
        self._put_off |= {d.claim_uid for d in troubles(busy, (), view)}
        """Claims for which nothing was decided as work was under way."""
        self._payers = {
            TenantUID(t.metadata.uid) for t in view.tenants if t.spec.budget is not None
        }
        """Tenants of whom every hour that they are billed counts."""
        self._note(made.decisions)

    @property
    def is_usable(self) -> bool:
        """The next view may be decided on this state: nobody who waits could have anything taken back."""
        money = (
            self._work.budgets.moving_ends
        )  # claims whose end moves along what is left of a budget
        return self._work.is_settled and not money and self._line.highest <= self._lowest

    def go_on(self, view: View) -> Plan | None:
        """Return the decisions about what is new, None if all must be planned anew."""
        due = self._due_ms
        if view.now_ms < self._view.now_ms or (due is not None and view.now_ms >= due):
            return None
        if not (same_rules(self._view, view) and self._same_fleet(view)):
            return None
        if self._put_off - view.busy:
            return None
        changes = self._changes(view)
        if changes is None or self._given:
            return None
        self._work.go_on(view)
        self._view = view
        decisions = self._decide(changes.new)
        if decisions is None:
            return None
        if decisions or changes.held:
            self._note(decisions)
            self._due_ms = self._next_due(view, changes, decisions)
        told = notices(changes.held, self._work.rules.offer, view.now_ms)
        return Plan((*decisions, *told), self._due_ms, self._work.unseen)

    def _same_fleet(self, view: View) -> bool:
        before, after = self._view.inventories, view.inventories
        return before.keys() == after.keys() and all(
            same_nodes(before[uid], after[uid], self._work.holdings.at(uid)) for uid in after
        )

    def _changes(self, view: View) -> _Changes | None:
        """Return what differs in claims, None if it may free something or change what was decided."""
        found = _Changes()
        is_seen = map(self._seen.__contains__, map(id, view.claims))  # thousands in each pass
        for claim in list(compress(view.claims, map(not_, is_seen))):
            before = self._claims.get(ClaimUID(claim.metadata.uid))
            if self._is_billed_otherwise(before, claim):
                return None
            if before is None:
                if holds(claim):
                    return None
                if asks(claim):
                    found.new.append(claim)
            elif not self._is_the_same(before, claim):
                return None
            elif holds(claim):
                if self._work.is_to_move(claim) or self._is_costlier(before, claim):
                    return None
                found.held.append(claim)
            self._take(before, claim)
        if troubles(found.held, (), view):
            return None  # one that isn't bound yet is told of none
        return found if len(self._claims) == len(view.claims) or self._forget(view) else None

    def _is_the_same(self, before: GpuClaim, claim: GpuClaim) -> bool:
        given = self._given.pop(ClaimUID(claim.metadata.uid), None)
        if given is not None:
            return same_ask(before, claim) and is_carried_out(given, claim)
        return same_standing(before, claim)

    def _is_costlier(self, before: GpuClaim, claim: GpuClaim) -> bool:
        """Say whether a meter that somebody's budget pays for began: until then the cost was only expected."""
        began = [
            c.status.allocation.bound_time if c.status.allocation is not None else None
            for c in (before, claim)
        ]
        return began[0] != began[1] and self._work.budgets.concern(claim)

    def _take(self, before: GpuClaim | None, claim: GpuClaim) -> None:
        if before is not None:
            self._seen.discard(id(before))
        self._seen.add(id(claim))
        self._claims[ClaimUID(claim.metadata.uid)] = claim

    def _forget(self, view: View) -> bool:
        """Forget claims that are gone; return whether they held nothing and asked for nothing."""
        gone = self._claims.keys() - {ClaimUID(c.metadata.uid) for c in view.claims}
        claims = [self._claims.pop(uid) for uid in gone]
        self._seen.difference_update(map(id, claims))
        return not any(
            holds(claim) or asks(claim) or self._is_billed_otherwise(None, claim)
            for claim in claims
        )

    def _is_billed_otherwise(self, before: GpuClaim | None, claim: GpuClaim) -> bool:
        """Say whether a tenant with a budget is billed for a claim from another instant on."""
        held = claim.status.allocation
        if held is None or TenantUID(held.tenant_uid) not in self._payers:
            return False
        known = before.status.allocation if before is not None else None
        return held.bound_time != (known.bound_time if known is not None else None)

    def _decide(self, new: Iterable[GpuClaim]) -> list[Reserve | Refuse] | None:
        refused: list[Reserve | Refuse] = []
        demands: list[Demand] = []
        for claim in new:
            read = self._work.rules.read(claim)
            if isinstance(read, Demand):
                if read.tenant.spec.budget is not None:
                    return None  # what is left of it changes with time
                demands.append(read)
            elif is_answered(claim, read):
                return None
            else:
                refused.append(read)
        refused.sort(key=lambda refuse: refuse.claim_uid)
        served = self._line.serve(demands, self._lowest)
        return [*refused, *served] if served is not None else None

    def _note(self, decisions: Iterable[Decision]) -> None:
        """Take note of what was decided, and is to be seen in the next view."""
        for decision in decisions:
            if isinstance(decision, Reserve):
                self._given[decision.claim_uid] = decision
                if self._is_loose(self._claims[decision.claim_uid]):
                    self._lowest = min(self._lowest, decision.priority)
            elif isinstance(decision, Refuse) and decision.estimated_ms is not None:
                self._estimates.append(decision)

    def _is_loose(self, claim: GpuClaim) -> bool:
        return claim.spec.class_name in self._loose

    def _next_due(
        self, view: View, changes: _Changes, decisions: list[Reserve | Refuse]
    ) -> Millis | None:
        holders = [*self._starting, *changes.held]
        own = next_due(
            view,
            holders,
            self._work.waiting,
            [*self._estimates, *decisions],
            {},
            self._work.budgets,
        )
        soon = Millis(view.now_ms + SOON_MS) if self._line.is_outdated else None
        return min((at for at in (self._due_ms, own, soon) if at is not None), default=None)


def _may_be_taken_back(each: GpuClass) -> bool:
    return each.spec.guarantee is Guarantee.PREEMPTIBLE


def _lowest(priorities: Iterable[int]) -> int:
    return min(priorities, default=NEVER_TAKEN_BACK)
