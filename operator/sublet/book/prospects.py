"""Whether a tenant will have the quota and the money for a start to come: one without them is no start.

What the pass keeps for the tenant's other claims counts like what they hold, else each of them would be kept a start that
only one of them can have. It is counted apart: nothing that could begin now is refused for it, and no refusal names it.
"""

from dataclasses import replace

from sublet.api.dated import holding
from sublet.api.times import Millis
from sublet.book.backfill import Opening
from sublet.book.demand import Demand
from sublet.book.search import Search
from sublet.book.steps import FOREVER


class Prospects:
    """The means of tenants in time, in one pass."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def are_bounded(self, demand: Demand) -> bool:
        """Say whether a tenant has a quota or a budget for a claim."""
        spec = demand.tenant.spec
        return spec.budget is not None or spec.quota_of(demand.claim.spec.class_name) is not None

    def has_means(self, demand: Demand) -> bool:
        """Say whether a tenant has the means for a start that is promised now, at the price that holds now."""
        if not self.are_bounded(demand):
            return True
        # as the search will, which knows of no maintenance before it looks for room
        whole, last_ms = replace(demand, stops_ms=FOREVER), self._search.ends_ms(demand)
        pays = self._search.budgets.pays_beside_kept(whole, last_ms)
        return pays and self._has_quota(whole, whole.until_on(last_ms))

    def will_have_means(self, demand: Demand) -> bool:
        """Say whether a tenant will have the means for a claim that waits for its start, at the price that holds then."""
        then = _then(demand)
        return then is not None and self.has_means(then)

    def keep(self, opening: Opening) -> None:
        """Note the quota and the money that a claim will need whose start is kept."""
        demand = opening.demand
        until_ms = demand.until_on(min(s.ends_ms for s in opening.found.supplies))
        uid, name = demand.tenant_uid, demand.claim.spec.class_name
        by_tenant = self._search.holdings.by_tenant
        by_tenant.keep(uid, name, demand.gpus, demand.start_ms, until_ms)
        self._search.budgets.keep(_then(demand) or demand, until_ms)

    def _has_quota(self, demand: Demand, until_ms: Millis) -> bool:
        uid, name = demand.tenant_uid, demand.claim.spec.class_name
        limit = demand.tenant.spec.quota_of(name)
        if limit is None:
            return True
        by_tenant = self._search.holdings.by_tenant
        most = by_tenant.most_beside_kept(uid, name, demand.start_ms, until_ms)
        return most + demand.gpus <= limit


def _then(demand: Demand) -> Demand | None:
    """Return a demand at the price that holds at its start, None if there is none or the claim refuses it."""
    found = holding(demand.offer.spec.prices, demand.start_ms)
    limit = demand.claim.spec.max_price_per_gpu_hour
    if found is None or (limit is not None and found.per_gpu_hour > limit):
        return None
    return replace(demand, price=found.per_gpu_hour)
