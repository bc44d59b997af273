"""Statements are what the ledger says, written where they differ; periods are closed once, and stay as they were billed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sublet.hub.statements import keeper
from sublet.hub.statements.wanted import KEPT_MONTHS, Unmade, Wanted, wanted
from sublet.kube.errors import ServerError
from sublet.ledger.entry import EntryKind
from sublet.ledger.texts.period import PeriodText
from sublet.rating.tenancy import tenancy_of
from tests.builders.api import uid_of
from tests.builders.billing import Journal
from tests.builders.statements import ACME, OCTOBER, SEPTEMBER, Hub, Keeping, sold
from tests.builders.wholesale import at


@pytest.fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    found = Keeping(Hub("acme"), tmp_path, sold())
    yield found
    await found.ledger.close()


async def test_a_clock_that_is_ahead_for_a_moment_closes_nothing(keeping: Keeping):
    await keeping.look(SEPTEMBER)
    assert await keeping.look("2027-03-10T00:00:00Z", by_hub=SEPTEMBER)
    assert await closed(keeping) == []

    await keeping.look(OCTOBER)
    assert await closed(keeping) == [202609]


async def test_a_hub_whose_clock_is_ahead_closes_nothing_either(keeping: Keeping):
    await keeping.look(SEPTEMBER, by_hub="2027-03-10T00:00:00Z")
    assert await closed(keeping) == []


async def test_nothing_is_closed_and_that_is_said_while_the_hub_doesnt_say_the_time(
    keeping: Keeping,
):
    await keeping.look(SEPTEMBER)
    keeping.now_ms, keeping.hub.date = at(OCTOBER), ""

    assert not await keeping.keeper.look()
    assert await closed(keeping) == []


async def closed(keeping: Keeping) -> list[int]:
    return [f.sequence for f in await keeping.ledger.facts() if f.kind is EntryKind.PERIOD]


async def test_an_open_period_has_a_statement_that_follows_the_ledger(keeping):
    await keeping.look()
    await keeping.look("2026-09-16T00:00:00Z")

    made = keeping.hub.statement("acme-2026-09-usd")
    (line,) = made.status.lines
    assert (made.status.total, line.amount, line.gpu_hours) == ("360.00", "360.00", "360.000000")
    assert (line.category, line.unit_price, line.tags) == ("Use", "1.000000", {"team": "x"})
    assert [c.status for c in made.status.conditions] == ["True", "False"]


async def test_nothing_is_written_while_nothing_differs(keeping):
    keeping.journal.ends("train", "2026-09-02T00:00:00Z")
    await keeping.look()
    before = list(keeping.hub.writes)

    await keeping.look("2026-09-16T00:00:00Z")
    await keeping.look(keeper=keeping.another())

    assert keeping.hub.writes == before


async def test_a_period_is_closed_some_days_after_its_end_and_stays_as_it_was_billed(keeping):
    await keeping.look("2026-10-03T23:00:00Z")
    assert keeping.hub.statement("acme-2026-09-usd").status.conditions[1].status == "False"
    await keeping.look(OCTOBER)
    keeping.journal.ends("train", "2026-09-30T00:00:00Z")
    await keeping.look()

    september, october = (keeping.hub.statement(f"acme-2026-{m}-usd") for m in ("09", "10"))
    assert (september.status.total, september.status.conditions[1].status) == ("720.00", "True")
    assert (october.status.total, october.status.lines[0].corrects) == ("-24.00", "2026-09")


async def test_two_operators_close_a_period_once(keeping):
    await keeping.look()
    keeping.now_ms = at(OCTOBER)
    other = keeping.another()
    await other._carried.read_on()
    await keeping.keeper.look()
    keeping.journal.reserved("late", tenant=ACME)

    await keeping.look(keeper=other)

    lines = [f for f in await keeping.ledger.facts() if f.kind is EntryKind.PERIOD]
    assert len(lines) == 1
    assert keeping.ledger.conflict is None


async def test_a_statement_that_was_deleted_comes_back_the_same(keeping):
    await keeping.look(OCTOBER)
    before = keeping.hub.statement("acme-2026-09-usd")
    keeping.hub.objects.clear()

    await keeping.look()

    again = keeping.hub.statement("acme-2026-09-usd")
    assert again.status.lines == before.status.lines
    assert again.status.ledger_head == before.status.ledger_head


async def test_a_statement_that_was_changed_by_hand_is_mended(keeping):
    await keeping.look()
    (path,) = keeping.hub.objects
    body = keeping.hub.objects[path]
    meta = body["metadata"]
    await keeping.hub.replace(path, {**body, "metadata": meta, "status": {"total": "0.00"}})

    await keeping.look()

    assert keeping.hub.statement("acme-2026-09-usd").status.total == "336.00"


async def test_what_is_remembered_of_statements_goes_with_the_months_that_are_kept(keeping):
    await keeping.look(OCTOBER)
    await keeping.look("2028-01-05T00:00:00Z")

    months = {name.removeprefix("acme-")[:7] for _, name in keeping.keeper._known}
    assert (min(months), max(months), len(months)) == ("2026-12", "2028-01", 14)


async def test_a_namespace_that_is_not_there_holds_up_no_other(keeping):
    keeping.journal.tenant("acme", uid=ACME, namespaces=["gone", "acme"])
    keeping.journal.adjusted(SEPTEMBER, "2026-09", "-1.00", tenant=ACME, namespace="gone")

    await keeping.look()

    assert keeping.hub.statement("acme-2026-09-usd").status.total == "336.00"


async def test_without_a_rate_nothing_is_closed_and_the_statement_says_which_one_is_missing(
    keeping,
):
    await keeping.look()
    keeping.journal.tenant("acme", uid=ACME, billing={"currency": "USD"})
    keeping.journal.begins("other", SEPTEMBER, 1, tenant=ACME, price="1", currency="EUR")

    assert not await keeping.look(OCTOBER)

    ready = keeping.hub.statement("acme-2026-09-usd").status.conditions[0]
    assert (ready.status, ready.reason) == ("False", "NoRate")
    assert "priced in EUR" in ready.message
    assert not [f for f in await keeping.ledger.facts() if f.kind is EntryKind.PERIOD]


async def test_a_month_that_cant_be_read_back_is_said_and_holds_up_no_other(keeping):
    beta = uid_of("beta")
    keeping.journal.tenant("beta", uid=beta, namespaces=["beta"])
    keeping.journal.adjusted(SEPTEMBER, "2026-09", "-1.00", tenant=beta)
    keeping.hub.namespaces.add("beta")
    await keeping.look(OCTOBER)
    closed = keeping.keeper._carried.books.periods[ACME][0].fact.price_hash
    del keeping.keeper._carried.books.texts[closed]
    keeping.hub.objects = {p: o for p, o in keeping.hub.objects.items() if "/acme/" in p}

    assert not await keeping.look()

    ready = keeping.hub.statement("acme-2026-09-usd").status.conditions[0]
    assert (ready.status, ready.reason) == ("False", "LedgerUnread")
    assert closed in ready.message
    assert keeping.hub.statement("acme-2026-10-usd").status.conditions[0].status == "True"
    assert keeping.hub.statement("beta-2026-09-usd", "beta").status.total == "-1.00"


@pytest.mark.parametrize(("is_late", "periods"), [(False, KEPT_MONTHS), (True, KEPT_MONTHS + 1)])
async def test_a_look_reads_each_closed_period_that_it_needs_once(
    keeping, monkeypatch, is_late, periods
):
    await keeping.look("2027-11-05T00:00:00Z")
    if is_late:
        keeping.journal.ends("train", "2026-10-01T00:00:00Z")
    read, real = list[str](), PeriodText.read

    def counted(text: str) -> PeriodText:
        read.append(text)
        return real(text)

    monkeypatch.setattr(PeriodText, "read", counted)

    await keeping.look()

    assert len(read) == len(set(read)) == periods


async def test_a_statement_on_which_nothing_can_be_said_holds_up_no_other(tmp_path, monkeypatch):
    journal = sold()
    journal.tenant("beta", uid=uid_of("beta"))
    journal.adjusted(SEPTEMBER, "2026-09", "-1.00", tenant=uid_of("beta"), namespace="beta")
    keeping = Keeping(Hub("acme", "beta"), tmp_path, journal)
    await keeping.look()
    journal.tenant("acme", uid=ACME, billing={"currency": "USD"})
    journal.begins("other", SEPTEMBER, 1, tenant=ACME, price="1", currency="EUR")
    journal.adjusted(
        SEPTEMBER, "2026-09", "-1.00", tenant=uid_of("beta"), namespace="beta", number=2
    )

    async def get(path: str) -> dict[str, Any]:
        if "/acme/" in path:
            raise ServerError(500, "InternalError", path)
        return await Hub.get(keeping.hub, path)

    monkeypatch.setattr(keeping.hub, "get", get)
    assert not await keeping.look("2026-09-16T00:00:00Z")

    assert keeping.hub.statement("beta-2026-09-usd", "beta").status.total == "-2.00"
    await keeping.ledger.close()


@pytest.mark.parametrize("currency", ["USD", "EUR"])
async def test_it_says_whether_something_that_is_due_cant_be_made(keeping, monkeypatch, currency):
    await keeping.look()
    keeping.journal.tenant("acme", uid=ACME, billing={"currency": "USD"})
    keeping.journal.begins("other", SEPTEMBER, 1, tenant=ACME, price="1", currency=currency)
    await keeping.look(OCTOBER)
    monkeypatch.setattr(keeper, "FIRST_LOOK_SECONDS", 0)

    running = asyncio.create_task(keeping.keeper.run(lambda: True))
    is_failing = await keeping.said.get()
    running.cancel()

    assert is_failing == (currency == "EUR")


async def test_a_closed_statement_stays_when_its_tenant_is_edited(keeping):
    keeping.journal.adjusted(SEPTEMBER, "2026-09", "-1.00", tenant=ACME)
    keeping.hub.namespaces.add("acme-2")
    await keeping.look(OCTOBER)
    before = keeping.hub.statement("acme-2026-09-usd")
    keeping.journal.tenant("acme", uid=ACME, namespaces=["acme", "acme-2"], billingAccountId="new")

    await keeping.look()

    after = keeping.hub.statement("acme-2026-09-usd")
    assert (after.status.account, after.status.lines) == (
        before.status.account,
        before.status.lines,
    )
    assert not [path for path in keeping.hub.objects if "/acme-2/" in path and "-09-" in path]


async def test_what_is_billed_in_another_currency_from_now_on_is_owed_once(keeping):
    await keeping.look()
    rate = {"currency": "USD", "effectiveTime": "2026-08-01T00:00:00Z", "rate": "0.5"}
    keeping.journal.rates("EUR", rate)
    keeping.journal.tenant("acme", uid=ACME, billing={"currency": "EUR"})

    await keeping.look()

    dollars, euros = (keeping.hub.statement(f"acme-2026-09-{c}") for c in ("usd", "eur"))
    assert (dollars.status.total, dollars.status.lines) == ("0.00", ())
    assert euros.status.total == "168.00"


async def test_a_namespace_that_is_the_tenants_no_more_bears_nothing_of_an_open_period(tmp_path):
    journal = Journal()
    journal.tenant("acme", uid=ACME, namespaces=["acme", "acme-2"])
    journal.adjusted(SEPTEMBER, "2026-09", "-100.00", tenant=ACME)
    keeping = Keeping(Hub("acme", "acme-2"), tmp_path, journal)
    await keeping.look("2026-09-16T00:00:00Z")
    journal.tenant("acme", uid=ACME, namespaces=["acme"])

    await keeping.look()

    totals = [keeping.hub.statement("acme-2026-09-usd", n).status.total for n in ("acme", "acme-2")]
    assert totals == ["-100.00", "0.00"]
    await keeping.ledger.close()


def all_of(journal: Journal, when: str = SEPTEMBER) -> list[Wanted | Unmade]:
    books = journal.books()
    return list(wanted(books, tenancy_of(books, ACME), "acme", at(when)))


def test_each_currency_and_namespace_has_its_own_and_none_names_another():
    journal = sold()
    journal.tenant("acme", uid=ACME, namespaces=["acme", "beta"])
    journal.reserved("euro", tenant=ACME, namespace="beta")
    journal.begins("euro", SEPTEMBER, 1, tenant=ACME, price="1", currency="EUR")
    journal.ends("euro", "2026-09-15T00:00:01Z")

    found = all_of(journal, OCTOBER)

    names = [(x.namespace, x.name) for x in found if isinstance(x, Wanted)]
    assert ("acme", "acme-2026-09-usd") in names
    assert ("beta", "acme-2026-09-eur") in names
    assert ("beta", "acme-2026-09-usd") not in names
    text = "".join(
        x.status.model_dump_json() for x in found if isinstance(x, Wanted) and x.namespace == "beta"
    )
    assert "train" not in text
    assert "west" not in text


def test_with_too_many_tags_lines_stand_without_them_and_add_up_all_the_same():
    journal = sold()
    for number in range(600):
        journal.reserved(f"c{number}", tenant=ACME, namespace="acme")
        journal.held(
            f"c{number}", "2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z", gpus=1, tenant=ACME,
            price="1", tags={"run": str(number)},
        )  # fmt: skip

    (made,) = all_of(journal)

    assert isinstance(made, Wanted)
    assert (made.status.tags_omitted, len(made.status.lines)) == (True, 1)
    assert made.status.total == made.status.lines[0].amount == "14736.00"
