"""What the ledger's lines are as counters: what is billed is money, what nobody held is no GPU-second."""

from decimal import Decimal
from typing import Any

from sublet.ledger.entry import EntryKind
from sublet.ledger.terms import PriceTerms
from sublet.serve.books import Totals
from sublet.serve.metrics import Snapshot
from tests.builders.api import NOW

PRICE = PriceTerms(Decimal("2.00"), "USD")


class Nobody:
    """A hub with nothing on it."""

    leads = True

    def claims(self) -> tuple[Any, ...]:
        return ()

    leases = tenants = classes = claims

    def hub_ahead_seconds(self) -> int | None:
        return None

    def accounts(self) -> dict[Any, Any]:
        return {}


def test_what_was_given_up_is_charged_and_was_held_by_nobody():
    totals = Totals()
    kinds = (EntryKind.BOUND, EntryKind.CANCELLED, EntryKind.RELEASING, EntryKind.DOWNTIME)
    for kind, hours in zip(kinds, (3, 2, 1, 0.5), strict=True):
        totals.gpu_milliseconds["claim", "acme", "west", kind, PRICE.hash] = int(hours * 3_600_000)

    nobody: Any = Nobody()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in Snapshot(nobody, NOW, totals, {PRICE.hash: PRICE}).collect()
        for sample in family.samples
    }

    assert found["sublet_tenant_charges_total", "acme", "USD"] == 10
    assert found["sublet_tenant_billable_gpu_seconds_total", "acme", "west", ""] == 3 * 3600
    states = {k[2]: v for k, v in found.items() if k[0] == "sublet_lease_gpu_seconds_total"}
    assert states == {"bound": 3 * 3600, "releasing": 3600}
    assert found["sublet_lease_downtime_gpu_seconds_total", "west"] == 1800
