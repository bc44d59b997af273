"""What `sublet usage` says that GPU time costs: at the list price of the time, exact."""

from decimal import Decimal

import pytest

from sublet.api.times import MS_PER_HOUR
from sublet.ledger.entry import EntryKind
from sublet.ledger.usage import By
from sublet.serve.usage import listed_usage
from tests.builders.billing import Journal
from tests.builders.wholesale import at

BEGIN, NOON, END = (f"2026-09-01T{hour}:00:00Z" for hour in ("00", "12", "20"))


def used(journal: Journal, begin: str = BEGIN, end: str = END, now: str = END):
    return listed_usage(journal.books(), By.CLAIM, at(begin), at(end), at(now))


@pytest.fixture
def journal() -> Journal:
    """Return a ledger with a class whose price doubles at noon."""
    made = Journal()
    made.tenant()
    made.offer("h100", ("2", 0), ("4", NOON))
    return made


def test_a_floating_claim_costs_what_its_class_did_at_the_time_and_a_fixed_one_what_was_reserved(
    journal,
):
    for claim, floats in (("a", True), ("b", False)):
        journal.reserved(claim, floats=floats)
        journal.held(claim, BEGIN, END, gpus=1, price="2")

    floating, fixed = used(journal)
    assert (floating.charges, fixed.charges) == (
        {"USD": Decimal(12 * 2 + 8 * 4)},
        {"USD": Decimal(40)},
    )
    assert floating.gpu_milliseconds == fixed.gpu_milliseconds == 20 * MS_PER_HOUR


def test_what_lasts_is_metered_until_now_and_what_is_not_billed_costs_nothing(journal):
    journal.reserved("a", floats=True)
    journal.begins("a", BEGIN, 1, price="2")
    journal.begins("a", NOON, 1, kind=EntryKind.RELEASING)

    bound, releasing = used(journal, now="2026-09-01T13:00:00Z")
    assert bound.charges == {"USD": Decimal(28)}
    assert (releasing.gpu_milliseconds, releasing.charges) == (MS_PER_HOUR, {})
