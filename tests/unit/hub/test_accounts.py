"""Accounts are read apart from planning, kept while the store is away, and told of only when they may decide."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from sublet.api.cancellation import CancellationTerms, GivenUp
from sublet.api.ids import TenantUID
from sublet.api.periods import BudgetPeriod, period_start
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.book.account import Charge, Metered
from sublet.hub import accounts
from sublet.hub.accounts import Accounts
from sublet.hub.meter import facts_of, texts_of
from sublet.ledger.entry import Entry, EntryType
from sublet.ledger.port import LedgerUnavailable
from tests.builders.api import NOW, as_lease, as_tenant, lease, tenant
from tests.builders.money import payer
from tests.builders.sales import given_back, sold
from tests.builders.windows import at
from tests.harness.fake_api import SteppedClock
from tests.unit.hub.test_meter import Book

WEST = as_lease(lease("west"))
UID = sold("runs", WEST, 8).status.allocation.tenant_uid
ACME = payer().model_copy(update={"metadata": payer().metadata.model_copy(update={"uid": UID})})


class Store(Book):
    """A ledger in memory that may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, str] = {}
        self.away = False
        self.largest = 0
        """Lines that were asked for at once, at most."""

    async def append(self, facts, terms, records=(), past=None):
        self.terms |= terms
        return await super().append(facts, terms)

    async def read_entries(self, after_seq, limit):
        if self.away:
            raise LedgerUnavailable("away")
        self.largest = max(self.largest, limit)
        return self.entries[after_seq : after_seq + limit]

    async def read_terms(self, hashes):
        return {h: self.terms[h] for h in hashes if h in self.terms}


class Told:
    """Accounts of a ledger, and how often they told of news."""

    def __init__(self, *claims, tenants=(ACME,), store: Store | None = None) -> None:
        self.store, self.clock = store or Store(), SteppedClock()
        self.claims, self.tenants = claims, tenants
        self.clock.seconds = NOW / 1_000
        self.marks, self.marked = 0, asyncio.Event()
        self.accounts = Accounts(
            self.store,
            self.clock,
            tenants=lambda: self.tenants,
            claims=lambda: self.claims,
            changed=self.mark,
            every_seconds=1_000,
            half_life_seconds=3_600,
        )

    @property
    def now(self) -> Millis:
        return self.clock.now_ms()

    def mark(self) -> None:
        self.marks += 1
        self.marked.set()

    async def write(self) -> None:
        for claim in self.claims:
            await self.store.append(facts_of(claim), texts_of(claim))

    async def read(self, hours: float = 0) -> None:
        self.clock.seconds += hours * 3_600
        await self.accounts.refresh()

    def metered(self) -> list[tuple[str, int]]:
        account = self.accounts.known.accounts[TenantUID(UID)]
        return [(str(m.per_gpu_hour), m.gpu_milliseconds) for m in account.metered]


async def test_spend_is_the_ledgers_beside_its_prices():
    told = Told(sold("runs", WEST, 8, price="2.5"))
    await told.write()

    await told.read(hours=3)

    assert told.metered() == [("2.5", 24 * MS_PER_HOUR)]
    known = told.accounts.known.accounts[TenantUID(UID)]
    assert (known.since_ms, known.as_of_ms) == (period_start(BudgetPeriod.MONTH, NOW), told.now)


async def test_a_long_ledger_is_read_to_its_end_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accounts, "_PAGE", 2)
    told = Told(*(given_back(sold(name, WEST, 8), at(1)) for name in ("one", "two", "three")))
    await told.write()
    told.claims = ()

    await told.read(hours=1)

    assert told.metered() == [("3.99", 3 * 8 * MS_PER_HOUR)]
    assert (told.store.largest, len(told.store.entries) > 2) == (2, True)


async def test_a_claim_whose_line_is_on_its_way_is_billed():
    told = Told(sold("runs", WEST, 8))

    await told.read(hours=1)

    assert told.metered() == [("3.99", 8 * MS_PER_HOUR)]


async def test_what_is_given_up_too_late_is_charged_before_and_after_its_line_comes_in():
    late = given_back(sold("late", WEST, 8), NOW)
    held = late.status.allocation
    assert held is not None
    terms = CancellationTerms(free_before_start_seconds=0, charge_percent=50, until_time=at(3))
    given = GivenUp(
        sequence=1, lease_uid=WEST.metadata.uid, gpus=8, from_time=at(1), until_time=at(3)
    )
    held = held.model_copy(update={"cancellation": terms, "given_up": (given,)})
    status = late.status.model_copy(update={"allocation": held})
    told = Told(late.model_copy(update={"status": status}))
    charge = Charge(
        period_start(BudgetPeriod.MONTH, NOW), Metered(Decimal("1.995"), "USD", 16 * MS_PER_HOUR)
    )

    await told.read()
    assert told.accounts.known.accounts[TenantUID(UID)].charges == (charge,)
    await told.write()
    told.claims = ()
    await told.read()
    assert told.accounts.known.accounts[TenantUID(UID)].charges == (charge,)


async def test_what_was_known_stays_while_the_store_is_away():
    told = Told(sold("runs", WEST, 8))
    await told.write()
    await told.read(hours=1)
    before, told.store.away = told.accounts.known, True

    await told.read(hours=1)

    assert told.accounts.known is before


async def test_a_store_that_was_never_there_leaves_spend_unknown_and_is_told_once():
    told = Told()
    told.store.away = True

    for _ in range(3):
        await told.read()

    assert told.accounts.known.accounts == {}
    assert (told.accounts.settled, told.marks) == (True, 1)


async def test_a_tenant_without_a_budget_has_usage_and_no_account():
    told = Told(sold("runs", WEST, 8), tenants=(as_tenant(tenant()),))
    await told.write()

    await told.read(hours=1_000)

    assert told.accounts.known.accounts == {}
    assert told.accounts.known.usage == {TenantUID(UID): {WEST.metadata.uid: 8_000}}


async def test_only_what_may_decide_otherwise_is_told():
    runs = sold("runs", WEST, 8)
    told = Told(runs)
    await told.write()
    marks = []
    for hours in (0, 1, 1, 24 * 30):  # the first time, nothing new, nothing new, another period
        await told.read(hours)
        marks.append(told.marks)
    told.claims = (given_back(runs, told.now),)
    await told.write()
    await told.read()

    assert [*marks, told.marks] == [1, 1, 1, 2, 3]


async def test_a_budget_that_is_new_is_read_for_at_once():
    told = Told(tenants=())
    task = asyncio.create_task(told.accounts.run())
    told.tenants = (ACME,)
    told.marked.clear()

    told.accounts.tend(told.tenants)

    await asyncio.wait_for(told.marked.wait(), 30)
    assert TenantUID(UID) in told.accounts.known.accounts
    task.cancel()


async def test_news_that_could_only_be_half_read_is_told_when_the_rest_is():
    runs = sold("runs", WEST, 8)
    told = Told(runs)
    await told.read()
    marks = told.marks
    told.claims = (given_back(sold("other", WEST, 4, price="7"), at(1)),)
    await told.write()
    told.claims = ()
    told.store.terms, terms = {}, told.store.terms

    await told.read(hours=2)
    assert told.marks == marks
    told.store.terms = terms
    await told.read()

    assert told.marks == marks + 1


class Late(Told):
    """A budget that comes as the first reading ends, which didn't know it."""

    def mark(self) -> None:
        if self.tenants:
            super().mark()
            return
        self.tenants = (ACME,)
        self.accounts.tend(self.tenants)


async def test_a_budget_that_comes_while_the_ledger_is_read_isnt_forgotten():
    told = Late(sold("runs", WEST, 8), tenants=())
    await told.write()
    task = asyncio.create_task(told.accounts.run())

    await asyncio.wait_for(told.marked.wait(), 30)

    assert TenantUID(UID) in told.accounts.known.accounts
    task.cancel()


async def test_a_line_that_cant_be_is_said_and_takes_nothing_twice():
    runs = sold("runs", WEST, 8)
    told = Told(given_back(runs, at(1)))
    await told.write()
    bad = replace(told.store.entries[0].fact, claim_uid="other", type=EntryType.CLOSE)
    told.store.entries.append(Entry(len(told.store.entries) + 1, bad, ""))
    told.claims = ()
    await told.read(hours=2)
    await told.read()
    assert told.accounts.known.accounts == {}

    told.store.entries.pop()
    await told.read()

    assert told.metered() == [("3.99", 8 * MS_PER_HOUR)]


async def test_what_the_ledger_has_open_is_known_as_it_was_read_last():
    told = Told()
    runs = sold("runs", WEST, 8)
    await told.store.append([f for f in facts_of(runs) if f.type is EntryType.OPEN], {})
    assert told.accounts.begun() == ()
    await told.accounts.refresh()

    assert [f.claim_uid for f in told.accounts.begun()] == [runs.metadata.uid]


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_ledger_that_was_put_back_is_read_from_its_beginning(lost: int):
    told = Told(*(given_back(sold(name, WEST, 8), at(1)) for name in ("one", "two")))
    await told.write()
    await told.read(hours=2)
    del told.store.entries[-lost:]
    told.claims = (given_back(sold("new", WEST, 4), at(1)),)
    await told.write()

    await told.read()

    fresh = Told(*told.claims, store=told.store)
    await fresh.read(hours=2)
    assert told.metered() == fresh.metered()
    assert told.accounts.begun() == fresh.accounts.begun()
