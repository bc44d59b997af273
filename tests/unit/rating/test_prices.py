"""What is promised is what is billed: of dated prices book, rating and metrics find the same one to hold."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from sublet.api.gpuclass import Pricing
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis, format_instant
from sublet.book.contract import terms_at
from sublet.book.floating import dated_prices, price_now
from sublet.book.plan import plan
from sublet.ledger.texts.offer import ClassTerms
from sublet.rating.supply import supply_of
from sublet.rating.timeline import Timeline
from sublet.serve.opencost import opencost_families
from tests.builders.api import NOW, as_claim, as_class, as_lease, gpu_class, lease
from tests.builders.fleet import carried_out, nodes, reserve_of, view
from tests.builders.ledgered import Memory
from tests.builders.moves import leased
from tests.builders.wholesale import Scribe

HOUR = 3_600_000
ZONES = ("Z", "+00:00")
instants = st.tuples(st.integers(-2, 2), st.sampled_from(ZONES))
priced = st.lists(st.tuples(instants, st.integers(0, 9)), min_size=1, max_size=6)


def prices(listed: list[tuple[tuple[int, str], int]]) -> list[dict[str, str]]:
    """Return dated prices, from so many hours after NOW on, in one of two spellings."""
    return [
        {"effectiveTime": format_instant(at(hours)).removesuffix("Z") + zone, "perGpuHour": f"{n}"}
        for (hours, zone), n in listed
    ]


def at(hours: int) -> Millis:
    return Millis(NOW + hours * HOUR)


@given(priced, st.integers(-3, 3))
def test_of_a_lease_the_book_and_the_bill_have_one_price(listed, hours: int):
    dated: dict[str, Any] = {"prices": prices(listed)}
    scribe = Scribe()
    scribe.lease("west", **dated)

    billed = supply_of(scribe.books(), LeaseUID("west")).price.at(at(hours))

    assert terms_at(as_lease(lease("west", **dated)), at(hours)) == billed


@given(priced)
def test_of_a_class_what_is_promised_is_billed_and_followed(listed):
    first = {"effectiveTime": format_instant(at(-9)), "perGpuHour": "5"}
    offer = as_class(gpu_class(prices=[first, *prices(listed)], pricing=Pricing.FLOATING))
    asked = as_claim()
    made = reserve_of(plan(view([asked], [leased("west")], classes=(offer,))), asked)
    held = carried_out(asked, made).status.allocation
    dated = [(p.effective_time, p.per_gpu_hour) for p in ClassTerms.of(offer).prices]

    billed = Timeline(made.price_per_gpu_hour, dated).at(NOW)

    assert made.price_per_gpu_hour == billed
    assert price_now(held, dated_prices([offer]), NOW) == billed


@pytest.mark.parametrize("first", ZONES)
def test_of_two_prices_of_one_instant_the_last_one_holds_in_metrics_too(first: str):
    listed = [((0, first), 39), ((0, "Z"), 3)]
    west = as_lease(lease("west", prices=prices(listed)))

    class Fleet(Memory):
        def nodes(self, uid):
            return {n.name: n for n in nodes(west, 1)}

    _, cost = opencost_families(Fleet(leases=[west]), NOW)

    assert [Decimal(s.value) for s in cost.samples] == [3]
