"""Budgets as a scrape shows them."""

from typing import Any

from sublet.api.times import Millis
from sublet.serve.budgets import budget_families
from tests.builders.api import NOW, as_tenant, tenant
from tests.builders.money import DECEMBER, account, payer


class Seen:
    """What the operator has in memory."""

    def __init__(self, accounts) -> None:
        self.accounts = lambda: accounts
        self.tenants = lambda: (payer("250.5"), as_tenant(tenant("globex")))


def samples(accounts, now_ms: Millis = NOW) -> dict[tuple[str, ...], float]:
    seen: Any = Seen(accounts)
    return {
        (sample.name.removeprefix("sublet_tenant_budget_"), *sample.labels.values()): sample.value
        for family in budget_families(seen, now_ms)
        for sample in family.samples
    }


def test_amount_and_spend_are_by_tenant_currency_and_period():
    assert samples(account(12.5)) == {
        ("amount", "acme", "USD", "Month"): 250.5,
        ("spent", "acme", "USD", "Month"): 12.5,
    }


def test_spend_that_isnt_known_is_absent():
    amount = {("amount", "acme", "USD", "Month"): 250.5}

    assert samples({}) == amount
    assert samples(account(12.5), now_ms=DECEMBER) == amount
