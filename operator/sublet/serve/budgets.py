"""Tenants' budgets as gauges: the amount, and what of the present period the ledger says is spent.

As of when the accounts were read last; absent for a tenant whose spend isn't known, never wrong.
"""

from collections.abc import Iterator
from decimal import Decimal

from prometheus_client.core import Metric

from sublet.api.gputenant import Budget
from sublet.api.ids import TenantUID
from sublet.api.periods import period_end, period_start
from sublet.api.rating import Rate, charges
from sublet.api.times import Millis
from sublet.book.account import Account
from sublet.book.steps import FOREVER
from sublet.serve.families import gauge
from sublet.serve.ports import Observed


def budget_families(observed: Observed, now_ms: Millis) -> Iterator[Metric]:
    """Yield amount and spend of each tenant with a budget."""
    accounts = observed.accounts()
    amounts, spent = [], []
    for tenant in observed.tenants():
        if (budget := tenant.spec.budget) is None:
            continue
        name = tenant.metadata.name
        labels = (name, budget.currency, budget.period.value)
        amounts.append((labels, float(budget.amount)))
        found = _spent(budget, accounts.get(TenantUID(tenant.metadata.uid)), now_ms)
        if found is not None:
            spent.append((labels, float(found)))
    names = ["tenant", "currency", "period"]
    yield gauge(
        "sublet_tenant_budget_amount", "What a tenant may spend in a period.", names, amounts
    )
    text = (
        "What a tenant has spent in the present period of its budget, as the ledger was read last."
    )
    yield gauge("sublet_tenant_budget_spent", text, names, spent)


def _spent(budget: Budget, account: Account | None, now_ms: Millis) -> Decimal | None:
    if account is None or account.since_ms != period_start(budget.period, now_ms):
        return None
    metered: dict[Rate, int] = {}
    ends_ms = period_end(budget.period, now_ms) or FOREVER
    for each in account.billed(account.since_ms, ends_ms):
        rate = Rate(each.per_gpu_hour, each.currency)
        metered[rate] = metered.get(rate, 0) + each.gpu_milliseconds
    return charges(metered).get(budget.currency, Decimal(0))
