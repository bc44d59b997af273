"""The ledger as counters: exact, never falling, the same over a restart, and absent where nobody knows."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sublet.api.gpuclass import Pricing
from sublet.api.ids import LeaseUID
from sublet.api.times import MS_PER_HOUR, Millis, format_instant
from sublet.ledger.entry import MARKS, EntryKind
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.texts.offer import ClassTerms
from sublet.ledger.texts.reservation import ReservationTerms
from sublet.serve.books import LedgerBooks
from sublet.serve.claims import ClaimSeries
from sublet.serve.horizon import horizon
from sublet.serve.look import Look
from tests.builders.api import LONG_AGO, as_class, as_lease, gpu_class, lease
from tests.builders.ledgered import Lines, Memory, adjusted, down, samples
from tests.builders.sales import given_back, sold
from tests.builders.wholesale import Scribe, at

BEGIN = at("2026-09-01T00:00:00Z")
WEST = as_lease(lease("west", committed=16, term={"startTime": "2026-09-01T00:00:00Z"}), uid="west")
TERM = {"startTime": "2026-09-01T00:00:00Z"}


def hour(hours: float) -> Millis:
    return Millis(BEGIN + int(hours * MS_PER_HOUR))


def later(hours: float) -> Millis:
    """Return when a scrape sees what is until an hour: the last moments aren't sure yet."""
    return Millis(hour(hours) + 2_000)


def books(lines: Lines) -> LedgerBooks:
    ledger: Any = lines
    return LedgerBooks(ledger)


@pytest.fixture
def scribe() -> Scribe:
    scribe = Scribe()
    scribe.lease("west", committed=16, term=TERM)
    return scribe


class Scraper:
    """Scrapes the same operator again and again."""

    def __init__(self, lines: Lines) -> None:
        self.lines, self.books = lines, books(lines)

    async def look(self, memory: Memory, now_ms: Millis) -> Look:
        self.lines.write()
        seen: Any = memory
        return await self.books.look(horizon(seen, now_ms), rate=True)

    async def scrape(self, memory: Memory, now_ms: Millis) -> dict[tuple[str, ...], float]:
        return samples(await self.look(memory, now_ms), memory, now_ms)

    async def counters(self, memory: Memory, now_ms: Millis) -> dict[tuple[str, ...], float]:
        """Return all that is counted, of single claims too."""
        look = await self.look(memory, now_ms)
        series: Any = ClaimSeries(retention_seconds=3_600)
        text = series.write(memory, look, now_ms, openmetrics=False).decode()
        found = {
            (sample.name.removeprefix("sublet_"), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        } | samples(look, memory, now_ms)
        return {key: value for key, value in found.items() if key[0].endswith("_total")}


def here(now_ms: Millis, *claims: Any) -> Memory:
    return Memory(claims=claims, leases=[WEST], seen_ms=now_ms)


async def test_what_was_given_up_is_charged_and_was_held_by_nobody(scribe: Scribe):
    scribe.held("a", "west", 1, hour(0), hour(3))
    scribe.held("b", "west", 1, hour(5), hour(7), kind=EntryKind.CANCELLED)
    scribe.held("a", "west", 1, hour(3), hour(4), kind=EntryKind.RELEASING)

    found = await Scraper(Lines(scribe)).scrape(here(later(4)), later(4))

    assert found["tenant_charges_total", "acme", "USD"] == pytest.approx(5 * 3.99)
    product = WEST.spec.product
    assert found["tenant_billable_gpu_seconds_total", "acme", "west", product] == 3 * 3600
    assert found["lease_releasing_gpu_seconds_total", "west"] == 3600


async def test_a_leases_states_add_up_to_its_commitment(scribe: Scribe):
    scribe.capacity("west", hour(0), 16)
    scribe.capacity("west", hour(2), 12, sequence=2)
    scribe.held("a", "west", 8, hour(1), hour(3))
    scribe.held("b", "west", 24, hour(3), hour(4))

    found = await Scraper(Lines(scribe)).scrape(here(later(4)), later(4))

    states = {k[2]: v / 3600 for k, v in found.items() if k[0] == "lease_gpu_seconds_total"}
    assert states == {"used": 32, "unused": 28, "unavailable": 4, "beyond_commitment": 8}


async def test_downtime_stands_by_cause_and_beside_the_bill(scribe: Scribe):
    scribe.reserved("a", "h100")
    scribe.held("a", "west", 8, hour(0))
    down(scribe, "a", "west", 8, hour(1), hour(2), "NodeGone")
    down(scribe, "a", "west", 4, hour(3), None, "GpusMissing")

    look = await Scraper(Lines(scribe)).look(here(later(4)), later(4))

    (claim,) = look.claims.values()
    assert (claim.namespace, claim.name) == ("acme", "a")
    assert claim.billed == 32 * MS_PER_HOUR
    assert claim.down == {"NodeGone": MS_PER_HOUR, "GpusMissing": MS_PER_HOUR}
    beside = look.beside["west", EntryKind.DOWNTIME]
    assert beside == 12 * MS_PER_HOUR


async def test_credits_and_corrections_are_counters_of_their_own(scribe: Scribe):
    for amount in ("-12.50", "-0.50", "3"):
        adjusted(scribe, "acme", hour(1), amount)

    found = await Scraper(Lines(scribe)).scrape(here(later(4)), later(4))

    assert found["tenant_credits_total", "acme", "USD"] == 13
    assert found["tenant_corrections_total", "acme", "USD"] == 3


async def test_a_claim_in_a_silent_cluster_counts_up_to_when_that_was_seen(scribe: Scribe):
    scribe.held("a", "west", 8, hour(0))
    silent = Memory(leases=[WEST], seen_ms=hour(1))

    look = await Scraper(Lines(scribe)).look(silent, hour(3))

    assert look.bound["acme", "west"] == 8 * MS_PER_HOUR


async def test_after_a_start_a_cluster_that_wasnt_heard_of_yet_says_nothing(scribe: Scribe):
    scribe.held("a", "west", 8, hour(0))
    found = await Scraper(Lines(scribe)).scrape(Memory(leases=[WEST]), hour(3))

    names = {key[0] for key in found}
    assert not names & {"tenant_billable_gpu_seconds_total", "tenant_charges_total"}
    assert not names & {"lease_gpu_seconds_total"}


async def test_of_a_held_lease_that_cant_be_read_nothing_is_counted_until_now(scribe: Scribe):
    scribe.capacity("west", hour(0), 16)
    scribe.held("a", "west", 8, hour(0))

    found = await Scraper(Lines(scribe)).counters(Memory(), later(3))

    assert {key[0] for key in found} == {"ledger_entries_total"}


async def test_a_lease_that_is_gone_keeps_what_became_of_its_gpus(scribe: Scribe):
    scribe.capacity("west", hour(0), 16)
    scribe.held("a", "west", 8, hour(0), hour(1))

    found = await Scraper(Lines(scribe)).counters(Memory(), later(3))

    assert found["lease_gpu_seconds_total", "west", "used"] == 8 * 3600


async def test_a_meter_that_stopped_stops_the_counter_before_its_line_is_written(scribe: Scribe):
    scribe.held("a", "west", 8, hour(0))
    gone = given_back(sold("a", WEST, 8, from_ms=hour(0)), hour(1))
    gone = gone.model_copy(update={"metadata": gone.metadata.model_copy(update={"uid": "a"})})

    look = await Scraper(Lines(scribe)).look(here(hour(3), gone), hour(3))

    assert look.bound["acme", "west"] == 8 * MS_PER_HOUR


async def test_a_line_that_comes_in_late_lets_no_counter_fall(scribe: Scribe):
    scribe.held("a", "west", 8, hour(0))
    scraper = Scraper(Lines(scribe))
    before = await scraper.scrape(here(later(3)), later(3))
    scribe.facts.pop()
    scribe.held("a", "west", 8, hour(0), hour(2))  # lost, its meter stopped an hour ago

    after = await scraper.scrape(here(later(4)), later(4))

    totals = [k for k in before if k[0].endswith("_total")]
    assert totals
    assert all(after[key] >= before[key] for key in totals)
    assert after["tenant_charges_total", "acme", "USD"] == before["tenant_charges_total", "acme", "USD"]  # fmt: skip


async def test_a_restart_changes_nothing_and_the_ledger_isnt_read_again_meanwhile(scribe: Scribe):
    scribe.capacity("west", hour(0), 16)
    scribe.held("a", "west", 8, hour(0), hour(3))
    scribe.held("b", "west", 4, hour(1))
    lines = Lines(scribe)
    first = Scraper(lines)
    before = await first.scrape(here(later(3)), later(3))
    await first.scrape(here(later(4)), later(4))

    again = await Scraper(lines).scrape(here(later(3)), later(3))

    assert again == before
    assert lines.reads == [0, len(lines.entries) - 1, 0]


LASTING = sorted({*EntryKind} - MARKS - {EntryKind.CANCELLED})


@pytest.mark.parametrize("kind", LASTING)
async def test_until_a_cluster_is_heard_of_again_after_a_restart_no_counter_is_less(
    scribe: Scribe, kind: EntryKind
):
    for begin, end in ((hour(1), hour(2)), (hour(3), None)):
        if kind is EntryKind.DOWNTIME:
            down(scribe, "a", "west", 8, begin, end, "NodeGone")
        else:
            scribe.held("a", "west", 8, begin, end, kind=kind)
    scribe.reserved("a", "h100")
    lines = Lines(scribe)
    before = await Scraper(lines).counters(here(later(12)), later(12))

    again = await Scraper(lines).counters(Memory(leases=[WEST]), later(12))

    assert before
    assert {k for k, v in again.items() if v < before[k]} == set()


async def test_a_claims_sums_go_one_retention_after_its_last_line_and_the_tenants_stay(
    scribe: Scribe,
):
    scribe.held("a", "west", 8, hour(0), hour(1))
    scribe.held("b", "west", 8, hour(2))
    scraper = Scraper(Lines(scribe))

    soon = await scraper.look(here(later(1.9)), later(1.9))
    late = await scraper.look(here(later(3)), later(3))

    assert set(soon.claims) == {"a", "b"}
    assert set(late.claims) == {"b"}
    assert late.bound["acme", "west"] == 16 * MS_PER_HOUR


async def test_what_is_a_week_old_is_added_up_for_good(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
):
    for day in range(20):
        scribe.held(f"c{day}", "west", 8 + day % 3, hour(24 * day), hour(24 * day + 5))
    whole = await Scraper(Lines(scribe)).scrape(here(later(480)), later(480))

    monkeypatch.setattr("sublet.serve.books.EVERY_LINES", 4)
    scraper = Scraper(Lines(scribe))
    cut = await scraper.scrape(here(later(480)), later(480))

    assert cut == whole
    assert len(scraper.books._books.closed) < 20


async def test_the_next_deadline_of_a_claim_against_the_landlord(scribe: Scribe):
    sla = {"creditPercent": 100, "maxPercent": 100, "graceSeconds": 0, "claimWithinDays": 10}
    scribe = Scribe()
    scribe.lease("west", committed=16, term=TERM, sla=sla)
    scribe.capacity("west", hour(0), 16)
    scribe.capacity("west", hour(1), 8, sequence=2)
    scribe.capacity("west", hour(2), 16, sequence=3)

    look = await Scraper(Lines(scribe)).look(here(later(4)), later(4))
    over = await Scraper(Lines(scribe)).look(here(later(300)), later(300))

    assert look.deadlines == {"west": hour(2 + 240)}
    assert over.deadlines == {}


async def test_a_floating_claim_is_charged_by_the_dates_of_its_class(scribe: Scribe):
    dates = [{"effectiveTime": LONG_AGO, "perGpuHour": "4"}, {"effectiveTime": format_instant(hour(2)), "perGpuHour": "5"}]  # fmt: skip
    offer = ClassTerms.of(as_class(gpu_class(prices=dates)))
    agreed = ReservationTerms(namespace="acme", name="a", class_name="h100", class_uid="h100", pricing=Pricing.FLOATING)  # fmt: skip
    scribe._text(offer, "h100", LeaseUID(""))
    scribe._text(agreed, "a", LeaseUID(""), "acme")
    scribe.held("a", "west", 1, hour(1), hour(3))
    scribe.held("b", "west", 1, hour(1), hour(3))

    found = await Scraper(Lines(scribe)).scrape(here(later(4)), later(4))

    assert found["tenant_charges_total", "acme", "USD"] == pytest.approx(4 + 5 + 2 * 3.99)


async def test_a_ledger_that_was_away_is_read_on_from_where_it_stopped(scribe: Scribe):
    scribe.held("a", "west", 1, hour(1), hour(2))
    lines = Lines(scribe)
    scraper = Scraper(lines)
    lines.away = True
    with pytest.raises(LedgerUnavailable):
        await scraper.look(here(later(4)), later(4))
    lines.away = False

    look = await scraper.look(here(later(4)), later(4))

    assert look.bound["acme", "west"] == MS_PER_HOUR


async def test_a_ledger_that_is_read_and_takes_nothing_shows_it(scribe: Scribe):
    lines = Lines(scribe)
    lines.takes_nothing = True

    found = await Scraper(lines).scrape(here(hour(1)), hour(1))

    assert found["ledger_takes_nothing",] == 1


async def test_a_ledger_that_was_put_back_is_read_from_its_beginning_and_counters_dont_fall(
    scribe: Scribe,
):
    scribe.held("a", "west", 1, hour(1), hour(2))
    scribe.held("b", "west", 8, hour(1))
    lines = Lines(scribe)
    scraper = Scraper(lines)
    before = await scraper.scrape(here(later(4)), later(4))
    scribe.facts = [f for f in scribe.facts if f.claim_uid != "b"]
    lines.entries.clear()
    scribe.held("c", "west", 2, hour(3))
    lines.write()

    after = await scraper.scrape(here(later(5)), later(5))

    fresh = await Scraper(lines).scrape(here(later(5)), later(5))
    assert after["ledger_entries_total", "bound"] == fresh["ledger_entries_total", "bound"]
    billable = "tenant_billable_gpu_seconds_total", "acme", "west", WEST.spec.product
    assert after[billable] == before[billable] > fresh[billable]
