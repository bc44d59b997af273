"""Tenants' budgets in a pass: who is refused for money, how long an extension may be, and who is taken back.

A claim is served if all that the tenant has spent and needs in the period in which it would start, its own cost in it
included, is within the amount. Spend that isn't known holds new claims and drains nobody. What a refusal says doesn't
change while nothing happens: prices, what is left and for how long that is enough, never an amount as of now.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from sublet.api.common import LONGEST_SECONDS, is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import GpuClass, Guarantee
from sublet.api.gputenant import AtLimit, Budget
from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.pending import Offer, OfferKind, PendingReason
from sublet.api.periods import BudgetPeriod, period_end, period_start
from sublet.api.relocation import ReleaseCause
from sublet.api.times import MS_PER_HOUR, MS_PER_SECOND, Millis, format_instant
from sublet.api.wording import how_many
from sublet.book.decisions import Extend, Refuse, Take
from sublet.book.demand import Demand
from sublet.book.spending import Cost, Spending, unread_cost
from sublet.book.steps import FOREVER
from sublet.book.unread import UnreadHolder
from sublet.book.view import View

_CENT: Final = 100
Classes = Callable[[str], GpuClass | None]


@dataclass(slots=True)
class _Payer:
    """A tenant with a budget."""

    budget: Budget
    spending: Spending | None
    """None: what it spent isn't known."""
    exhausted_ms: Millis | None = None
    """When its amount is spent, if it says Drain then."""


class Budgets:
    """The budgets of one pass; changed as the pass gives."""

    def __init__(self, view: View) -> None:
        self._now_ms = view.now_ms
        self._payers: dict[TenantUID, _Payer] = {}
        budgets = {
            TenantUID(t.metadata.uid): t.spec.budget
            for t in view.tenants
            if t.spec.budget is not None
        }
        mine: dict[TenantUID, list[GpuClaim]] = defaultdict(list)
        for claim in view.claims if budgets else ():
            if (allocation := claim.status.allocation) is not None:
                mine[TenantUID(allocation.tenant_uid)].append(claim)
        unread: dict[TenantUID, list[UnreadHolder]] = defaultdict(list)
        for each in view.unread:
            for uid in each.tenants:
                unread[uid].append(each)
        for uid, budget in budgets.items():
            account = view.accounts.get(uid)
            # of another period, before somebody changed it: as good as none
            known = account is not None and (
                account.since_ms == period_start(budget.period, account.as_of_ms)
            )
            costs = [unread_cost(x) for x in unread[uid] if x.currency == budget.currency]
            spending = Spending(budget, account, mine[uid], costs) if account and known else None
            drains = spending is not None and budget.at_limit is AtLimit.DRAIN
            spent_ms = spending.exhausted_ms(view.now_ms) if spending and drains else None
            self._payers[uid] = _Payer(budget, spending, spent_ms)
        self.instants: set[Millis] = set()
        """When a claim that was refused would fit what is left: its window shrinks as the period's end comes nearer."""
        self.moving_ends: set[Millis] = set()
        """Ends of offers that would begin now."""

    def refusal(self, demand: Demand, lease_ends_ms: Millis) -> Refuse | None:
        """Return why there is no money for a claim on leases that end then, None if there is."""
        payer = self._payers.get(demand.tenant_uid)
        if payer is None or demand.price == 0:
            return None
        budget, currency = payer.budget, demand.offer.spec.currency
        if currency != budget.currency:
            message = (
                f"class {demand.claim.spec.class_name} is priced in {currency}, and the tenant's budget is in "
                f"{budget.currency}; choose a class priced in {budget.currency}, or ask for a budget in {currency}"
            )
            return Refuse(demand.uid, PendingReason.MISCONFIGURED, message)
        if payer.spending is None:
            message = (
                "the tenant has a budget, and what it has spent isn't known now (the ledger can't be read); "
                "the claim is held until it is"
            )
            return Refuse(demand.uid, PendingReason.EXCEEDS_BUDGET, message)
        left, cost = payer.spending.left(demand.start_ms), self._cost(payer, demand, lease_ends_ms)
        if cost <= left or cost == 0:
            return None
        if not demand.is_ahead and left >= 0:
            ends_ms = min(payer.spending.end_of(demand.start_ms), _fixed_end(demand, lease_ends_ms))
            if ends_ms < FOREVER:
                self.instants.add(Millis(ends_ms - int(left // _per_ms(demand))))
        return Refuse(
            demand.uid, PendingReason.EXCEEDS_BUDGET, _refused(demand, payer.budget, left)
        )

    def pays_beside_kept(self, demand: Demand, lease_ends_ms: Millis) -> bool:
        """Say whether there is money for a claim on leases that end then, beside those whose starts are kept."""
        payer = self._payers.get(demand.tenant_uid)
        if payer is None or demand.price == 0:
            return True
        if payer.spending is None or payer.budget.currency != demand.offer.spec.currency:
            return False
        left = payer.spending.left_beside_kept(demand.start_ms)
        return self._cost(payer, demand, lease_ends_ms) <= max(left, Fraction(0))

    def keep(self, demand: Demand, until_ms: Millis) -> None:
        """Note what a claim will cost whose start is kept."""
        if (spending := self._spending_on(demand)) is not None:
            spending.keep(_cost_of(demand, until_ms))

    def keeps_for(self, uid: TenantUID) -> bool:
        """Say whether money is kept for claims of a tenant that wait."""
        payer = self._payers.get(uid)
        return payer is not None and payer.spending is not None and payer.spending.keeps

    def count(self, demand: Demand, until_ms: Millis) -> None:
        """Take what a claim that was given GPUs costs out of what is left."""
        if (spending := self._spending_on(demand)) is not None:
            spending.count(_cost_of(demand, until_ms))

    def _spending_on(self, demand: Demand) -> Spending | None:
        payer = self._payers.get(demand.tenant_uid)
        if payer is None or payer.budget.currency != demand.offer.spec.currency:
            return None
        return payer.spending

    def offers(self, demand: Demand, find: Callable[[Demand], object | None]) -> tuple[Offer, ...]:
        """Return the longest duration that is paid for, if the claim would bind with it."""
        payer = self._payers.get(demand.tenant_uid)
        if payer is None or payer.spending is None or demand.begin_ms < demand.start_ms:
            return ()  # a window that has begun is as long as it is
        if payer.budget.currency != demand.offer.spec.currency:
            return ()
        left = payer.spending.left(demand.start_ms)
        used = (demand.claim.status.used_milliseconds or 0) if not demand.is_ahead else 0
        paid = int(max(left, Fraction(0)) / _per_ms(demand)) // MS_PER_SECOND
        seconds = min(paid, LONGEST_SECONDS - used // MS_PER_SECOND)
        end_ms = Millis(demand.start_ms + seconds * MS_PER_SECOND)
        if seconds <= 0 or end_ms >= demand.own_end_ms:
            return ()
        if not demand.is_ahead:
            self.moving_ends.add(end_ms)
        if find(replace(demand, asked_until_ms=end_ms)) is None:
            return ()
        return (
            Offer(
                change=OfferKind.SHORTER,
                class_name=demand.offer.metadata.name,
                gpus=demand.gpus,
                start_time=demand.start_ms if demand.is_ahead else None,
                duration_seconds=seconds + used // MS_PER_SECOND,
                price_per_gpu_hour=demand.price,
                currency=demand.offer.spec.currency,
            ),
        )

    def pays_until(
        self,
        claim: GpuClaim,
        allocation: Allocation,
        until_ms: Millis,
        *,
        whole: bool = False,
        beside_kept: bool = False,
    ) -> Millis | None:
        """Return until when there is money for a claim that asks for an end later than its own, None if nobody knows.

        At least to its own end. What is granted is taken out of what is left. `whole`: None, too, if it isn't enough for all.
        `beside_kept`: what claims will need whose starts are kept isn't there either.
        """
        payer = self._payers.get(TenantUID(allocation.tenant_uid))
        if payer is None or payer.budget.currency != allocation.currency:
            return until_ms
        if payer.spending is None:
            return None
        before_ms = allocation.until_time or FOREVER
        at_ms = Millis(max(self._now_ms, claim.spec.schedule.start_time or 0))
        ends_ms = payer.spending.end_of(at_ms)
        per_ms = Fraction(allocation.price_per_gpu_hour) * allocation.gpus / MS_PER_HOUR
        spending = payer.spending
        left = spending.left_beside_kept(at_ms) if beside_kept else spending.left(at_ms)
        cost = per_ms * max(0, min(until_ms, ends_ms) - before_ms)
        if cost > max(left, Fraction(0)):
            if whole:
                return None
            until_ms = Millis(before_ms + int(max(left, Fraction(0)) // per_ms))
        price = allocation.price_per_gpu_hour
        payer.spending.count(Cost(before_ms, until_ms, allocation.gpus, price, runs=False))
        return until_ms

    def drains(self, holders: Iterable[GpuClaim], offer: Classes) -> Iterator[Extend | Take]:
        """Yield what takes claims of Preemptible classes back whose tenant's budget is spent and says Drain."""
        spent = {
            uid: payer
            for uid, payer in self._payers.items()
            if payer.exhausted_ms is not None and payer.exhausted_ms <= self._now_ms
        }
        for claim in holders if spent else ():
            allocation = claim.status.allocation
            payer = spent.get(TenantUID(allocation.tenant_uid)) if allocation is not None else None
            if allocation is None or payer is None or not allocation.price_per_gpu_hour:
                continue
            if allocation.currency != payer.budget.currency:
                continue
            found = _drained(claim, allocation, offer(claim.spec.class_name), self._now_ms)
            # a notice that ends in the next period, with its money, would be taken back at once
            fresh_ms = period_end(payer.budget.period, self._now_ms) or FOREVER
            if isinstance(found, Take) or (found is not None and (found.until_ms or 0) < fresh_ms):
                yield found

    def concern(self, claim: GpuClaim) -> bool:
        """Say whether what a claim holds is paid for from a budget."""
        allocation = claim.status.allocation
        return allocation is not None and TenantUID(allocation.tenant_uid) in self._payers

    def due(self) -> Iterator[Millis]:
        """Yield the instants to come at which money decides otherwise: periods' ends, spend that reaches its amount."""
        yield from self.instants
        for payer in self._payers.values():
            yield period_end(payer.budget.period, self._now_ms) or FOREVER
            if payer.exhausted_ms is not None:
                yield payer.exhausted_ms

    def _cost(self, payer: _Payer, demand: Demand, lease_ends_ms: Millis) -> Fraction:
        """Return what a claim costs in the period in which it starts."""
        if payer.budget.currency != demand.offer.spec.currency or payer.spending is None:
            return Fraction(0)
        ends_ms = min(demand.until_on(lease_ends_ms), payer.spending.end_of(demand.start_ms))
        return _per_ms(demand) * max(0, ends_ms - demand.start_ms)


def _drained(
    claim: GpuClaim, allocation: Allocation, offer: GpuClass | None, now_ms: Millis
) -> Extend | Take | None:
    if offer is None or offer.spec.guarantee is not Guarantee.PREEMPTIBLE:
        return None
    if is_true(claim.status.conditions, "Releasing"):
        return None
    uid, cause = ClaimUID(claim.metadata.uid), ReleaseCause.BUDGET_EXHAUSTED
    start_ms = claim.spec.schedule.start_time
    if allocation.is_ahead:
        # what is still promised costs nothing yet; once it would begin it is given up
        begins = start_ms is not None and start_ms <= now_ms
        return Take(uid, cause, now_ms) if begins else None
    notice_ms = Millis(now_ms + offer.spec.notice_seconds * MS_PER_SECOND)
    if allocation.until_cause is cause or (allocation.until_time or FOREVER) <= notice_ms:
        return None  # a notice that runs is neither shortened nor prolonged
    if notice_ms > now_ms:
        return Extend(uid, notice_ms, cause)
    begun_ms = allocation.bound_time or allocation.decided_time
    return Take(uid, cause, Millis(max(now_ms, begun_ms)))


def _fixed_end(demand: Demand, lease_ends_ms: Millis) -> Millis:
    """Return the end that doesn't move while the claim waits."""
    if demand.claim.spec.schedule.start_time is not None:
        return demand.until_on(lease_ends_ms)
    return lease_ends_ms if demand.asked_until_ms is None else FOREVER


def _cost_of(demand: Demand, until_ms: Millis) -> Cost:
    ends_ms = demand.until_on(until_ms)
    return Cost(demand.start_ms, ends_ms, demand.gpus, demand.price, runs=False)


def _per_ms(demand: Demand) -> Fraction:
    return Fraction(demand.price) * demand.gpus / MS_PER_HOUR


def _refused(demand: Demand, budget: Budget, left: Fraction) -> str:
    """Say what it costs and what is left, and what could be changed."""
    hourly = demand.price * demand.gpus
    ends_ms = period_end(budget.period, demand.start_ms)
    period = (
        "for all time"
        if budget.period is BudgetPeriod.TOTAL
        else f"for the {budget.period.lower()} from {format_instant(period_start(budget.period, demand.start_ms))}"
    )
    cents = max(0, int(left * _CENT))
    seconds = int(max(left, Fraction(0)) / _per_ms(demand)) // MS_PER_SECOND
    enough = f", enough for {how_many(seconds, 'second')}" if seconds else ""
    ways = ["ask for a shorter schedule.durationSeconds"] if seconds else []
    ways += [f"wait until {format_instant(ends_ms)}"] if ends_ms is not None else []
    return (
        f"costs {hourly:f} {budget.currency} an hour for {how_many(demand.gpus, 'GPU')}; of the tenant's budget of "
        f"{budget.amount:f} {budget.currency} {period} {cents // _CENT}.{cents % _CENT:02d} are neither spent nor "
        f"needed by its other claims{enough}; {', '.join([*ways, 'or ask for a larger budget'])}"
    )
