"""Whether a tenant will have the quota and the money for a start to come: one without them is no start.

What the pass keeps for the tenant's other claims counts like what they hold, else each of them would be kept a start that
only one of them can have. It is counted apart: nothing that could begin now is refused for it, and no refusal names it.
"""

from dataclasses import replace
from itertools import pairwise

from sublet.api.dated import holding
from sublet.api.ids import TenantUID
from sublet.api.times import Millis
from sublet.book.backfill import Opening
from sublet.book.demand import Demand
from sublet.book.search import Search
from sublet.book.steps import FOREVER, Steps


class Prospects:
    """The means of tenants in time, in one pass."""

    def __init__(self, search: Search, now_ms: Millis) -> None:
        self._search = search
        self._now_ms = now_ms
        self._kept: dict[tuple[TenantUID, str], Steps] = {}
        """(tenant, class) -> GPUs of starts that are kept, in time"""

    def has_means(self, demand: Demand) -> bool:
        """Say whether a tenant has the means for a start that is promised now, at the price that holds now."""
        spec = demand.tenant.spec
        if spec.budget is None and spec.quota_of(demand.claim.spec.class_name) is None:
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
        key = (demand.tenant_uid, demand.claim.spec.class_name)
        kept = self._kept.setdefault(key, Steps(self._now_ms, ()))
        kept.add(demand.gpus, demand.start_ms, until_ms)
        self._search.budgets.keep(_then(demand) or demand, until_ms)

    def _has_quota(self, demand: Demand, until_ms: Millis) -> bool:
        uid, name = demand.tenant_uid, demand.claim.spec.class_name
        limit = demand.tenant.spec.quota_of(name)
        if limit is None:
            return True
        kept, held = self._kept.get((uid, name)), self._search.holdings.by_tenant.most
        if kept is None:
            return held(uid, name, demand.start_ms, until_ms) + demand.gpus <= limit
        inner = (at for at in kept.edges if demand.start_ms < at < until_ms)
        return all(
            held(uid, name, from_ms, to_ms) + kept.at(from_ms) + demand.gpus <= limit
            for from_ms, to_ms in pairwise([demand.start_ms, *inner, until_ms])
        )


def _then(demand: Demand) -> Demand | None:
    """Return a demand at the price that holds at its start, None if there is none or the claim refuses it."""
    found = holding(demand.offer.spec.prices, demand.start_ms)
    limit = demand.claim.spec.max_price_per_gpu_hour
    if found is None or (limit is not None and found.per_gpu_hour > limit):
        return None
    return replace(demand, price=found.per_gpu_hour)
