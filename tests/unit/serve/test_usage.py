"""What `sublet usage` says that GPU time costs: at the list price of the time, exact."""

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from sublet.api.times import MS_PER_HOUR
from sublet.cli.usage import ask
from sublet.ledger.entry import EntryKind
from sublet.ledger.usage import By
from sublet.serve.admin import Admin
from sublet.serve.usage import listed_usage
from sublet.store.sql import SqlLedger
from tests.builders.billing import Journal
from tests.builders.wholesale import at
from tests.harness.fake_api import SteppedClock

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


async def test_time_in_two_currencies_is_two_lines_each_in_its_smallest_unit(
    journal: Journal, tmp_path: Path
):
    journal.held("a", BEGIN, NOON, gpus=1, price="1.04", currency="JPY")
    journal.held("b", BEGIN, END, gpus=1, price="2")
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")
    await ledger.append([e.fact for e in journal.entries], journal.texts)
    observed: Any = SimpleNamespace(tenants=tuple)
    nobody: Any = None

    app = Admin(observed, ledger, nobody, SteppedClock(), last_pass=nobody).app()
    async with TestServer(app) as server:
        span, where = (at(BEGIN), at(END)), str(server.make_url("/"))
        answer = await ask(span, By.TENANT, context=None, namespace="x", given=where)
    await ledger.close()

    said = [(x["gpuMilliseconds"], x["charge"], x["currency"]) for x in answer["items"]]
    assert said == [
        (12 * MS_PER_HOUR, "12", "JPY"),
        (20 * MS_PER_HOUR, "40.00", "USD"),
    ]
