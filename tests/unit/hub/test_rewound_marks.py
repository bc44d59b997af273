"""On a hub whose etcd was restored generations count again and levels are old: the ledger gets what is so now all the same."""

from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api.billing import Discount, LeaseSla
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.hub.rewound import agree
from sublet.hub.state import HubState
from sublet.ledger.port import LedgerConflict
from sublet.ledger.texts.lease import LeaseTerms
from sublet.rating.books import Books
from tests.builders.api import NOW, as_class, as_tenant
from tests.unit.hub.test_marks import WEST, Store, changed, counted, marks_of

ACME, H100 = as_tenant(), as_class()
DAY = 86_400_000


def discounted(percent: int, version: int, generation: int) -> Any:
    """Return a tenant with one discount."""
    discount = Discount(effective_time="2026-09-01T00:00:00Z", percent=percent)
    return changed(ACME, str(version), generation, discounts=(discount,))


def dearer(price: str, version: int, generation: int) -> Any:
    """Return a class with one price."""
    prices = (H100.spec.prices[0].model_copy(update={"per_gpu_hour": Decimal(price)}),)
    return changed(H100, str(version), generation, prices=prices)


class Strict(Store):
    """A ledger that takes no other content under an id that it has."""

    async def append(self, facts, terms, records=(), past=None):
        there = {f.id: f.content for f in self.facts}
        if any(there.get(f.id, f.content) != f.content for f in facts):
            raise LedgerConflict("there with other content")
        return await super().append(facts, terms, records)


@pytest.fixture
def store() -> Strict:
    return Strict()


class Operator:
    """An operator that has just started, and sees one object."""

    def __init__(self, store: Store, now_ms: int = NOW) -> None:
        self.state = HubState(lambda: None)
        self.is_read = True
        self.marks = marks_of(store, self.state, now_ms=now_ms, is_read=lambda: self.is_read)

    async def sees(self, each: Any) -> None:
        """Have it see the object as it is now, and write what it has to."""
        shelf: Any = {GpuTenant: self.state.tenants, GpuLease: self.state.leases}.get(
            type(each), self.state.classes
        )
        shelf.put(each)
        await self.looks()

    async def looks(self) -> None:
        self.marks.look()
        await self.marks.write()


async def started(store: Store, each: Any, now_ms: int = NOW) -> Operator:
    """Have an operator start that sees this and writes what it has to."""
    operator = Operator(store, now_ms)
    await operator.sees(each)
    return operator


def books(store: Store) -> Books:
    ids = [f.id for f in store.facts]
    assert len(ids) == len(set(ids))
    return Books.of(store.entries, store.texts)


def discounts(store: Store) -> list[int]:
    return [int(d.percent) for d in books(store).tenants[ACME.metadata.uid].discounts]


def levels(store: Store) -> list[tuple[int, int]]:
    return [(x.at_ms - NOW, x.gpus) for x in books(store).capacity[WEST.metadata.uid]]


async def test_terms_that_a_rewound_hub_has_no_more_hold_no_more(store):
    await started(store, changed(ACME, "10", 1))
    await started(store, discounted(10, 20, 2))
    await started(store, changed(ACME, "10", 1))

    assert discounts(store) == []


async def test_a_generation_that_counts_again_with_other_terms_is_written_after_the_first(store):
    await started(store, discounted(10, 20, 2))
    await started(store, changed(ACME, "10", 1))
    with capture_logs() as logs:
        await started(store, discounted(30, 21, 2))

    assert discounts(store) == [30]
    assert [f.sequence for f in store.facts] == [2, 3, 4]
    assert ["of generation 2" in e["error"] for e in logs] == [True]


async def test_so_is_a_price_of_a_class_and_the_name_of_a_landlord(store):
    await started(store, dearer("2.50", 20, 2))
    await started(store, dearer("2.75", 21, 2))
    await started(store, changed(WEST, "20", 2, provider="other"))
    await started(store, changed(WEST, "21", 2, provider="third"))

    (offer,), (terms,) = books(store).classes.values(), books(store).leases.values()
    assert [str(p.per_gpu_hour) for p in offer.prices] == ["2.75"]
    assert terms.provider == "third"


async def test_what_is_changed_while_the_operator_runs_on_is_written_too_with_the_same_number_by_each(
    store,
):
    await started(store, discounted(10, 20, 2))
    operator = await started(store, changed(ACME, "10", 1))
    other = Store()
    other.entries, other.texts = list(store.entries), dict(store.texts)
    await operator.sees(discounted(30, 21, 2))
    await started(other, discounted(30, 21, 2))

    assert discounts(store) == [30]
    assert store.facts == other.facts


async def test_what_another_operator_wrote_meanwhile_is_read_before_it_is_tried_again(store):
    await started(store, discounted(10, 20, 2))
    first = await started(store, changed(ACME, "10", 1))
    await started(store, discounted(30, 21, 2))
    with pytest.raises(LedgerConflict):
        await first.sees(discounted(50, 22, 3))
    await first.looks()

    assert discounts(store) == [50]
    assert [f.sequence for f in store.facts] == [2, 3, 4, 5]


async def test_lines_of_a_rewound_hub_hide_from_nobody_that_it_is_rewound(store):
    await started(store, discounted(10, 20, 2))
    await started(store, changed(ACME, "10", 1))

    assert [f.source_version for f in store.facts] == ["20", "20"]


async def test_the_same_state_of_a_rewound_hub_is_written_once(store):
    await started(store, discounted(10, 20, 2))
    await started(store, changed(ACME, "10", 1))
    before = list(store.entries)
    await started(store, changed(ACME, "10", 1))
    await started(store, changed(ACME, "11", 1))

    assert store.entries == before


async def test_generations_beyond_those_that_the_ledger_has_are_numbers_as_they_are(store):
    await started(store, discounted(10, 20, 2))
    await started(store, changed(ACME, "10", 1))
    await started(store, discounted(30, 30, 7))

    assert [f.sequence for f in store.facts] == [2, 3, 7]


def test_an_sla_that_one_text_lacks_is_no_matter_of_versions():
    with_sla = changed(WEST, "2", sla=LeaseSla(claim_within_days=30))
    one, other = LeaseTerms.of(WEST).text, LeaseTerms.of(with_sla).text

    assert not agree(one, other)
    assert not agree(other, one)
    assert agree(one, one)


async def rewound_capacity(store: Store) -> None:
    """Sixteen GPUs when the backup was taken; the last that the ledger has is that none was left."""
    await started(store, counted("10", 5, 16, NOW))
    await started(store, counted("20", 6, 8, NOW + DAY))
    await started(store, counted("30", 7, 0, NOW + 2 * DAY))


async def test_gpus_of_a_rewound_hub_that_are_there_count_from_when_they_are_seen(store):
    await rewound_capacity(store)
    for version in ("10", "11"):
        await started(store, counted(version, 5, 16, NOW), NOW + 3 * DAY)

    assert levels(store) == [(0, 16), (DAY, 8), (2 * DAY, 0), (3 * DAY, 16)]


async def test_they_never_count_from_before_the_last_that_the_ledger_has(store):
    await rewound_capacity(store)
    await started(store, counted("10", 5, 16, NOW), NOW + DAY)

    assert levels(store)[-1] == (2 * DAY, 16)


async def test_as_long_as_the_nodes_cant_be_read_the_last_that_was_seen_holds(store):
    await rewound_capacity(store)
    operator = Operator(store, NOW + 3 * DAY)
    operator.is_read = False
    await operator.sees(counted("10", 5, 16, NOW))
    await operator.looks()
    assert levels(store)[-1] == (2 * DAY, 0)

    operator.is_read = True
    await operator.looks()
    assert levels(store)[-1] == (3 * DAY, 16)


async def test_what_is_counted_after_it_comes_after_it(store):
    await rewound_capacity(store)
    operator = await started(store, counted("10", 5, 16, NOW), NOW + 3 * DAY)
    await operator.sees(counted("12", 6, 8, NOW + 4 * DAY))

    assert levels(store)[-2:] == [(3 * DAY, 16), (4 * DAY, 8)]
