"""The public listener: what is shown before the hub was read, and while the ledger is away, and when the pod is ready."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.ledger.terms import content_hash
from sublet.serve import server
from sublet.serve.books import LedgerBooks
from sublet.serve.claims import ClaimSeries
from sublet.serve.server import Public
from sublet.serve.timings import Timings
from tests.builders.api import NOW, as_lease, lease
from tests.builders.ledgered import Lines, Memory
from tests.builders.wholesale import Scribe
from tests.harness.fake_api import SteppedClock, eventually


class Operator:
    """A claim is bound on west, which was seen to work a moment ago."""

    def __init__(self) -> None:
        self.scribe = Scribe()
        self.scribe.lease("west")
        self.scribe.held("a", "west", 8, NOW - 3_600_000)
        self.lines, self.clock = Lines(self.scribe), SteppedClock()
        self.clock.seconds = NOW / 1_000
        self.opened = self.followed = True
        self.memory = Memory(leases=[as_lease(lease("west"), uid="west")], seen_ms=NOW)
        seen: Any = self.memory
        ledger: Any = self.lines
        self.public = Public(
            seen, LedgerBooks(ledger), Timings(), self.clock,
            opened=lambda: self.opened, followed=lambda: self.followed, gate=None, claims=ClaimSeries(retention_seconds=60),
        )  # fmt: skip

    async def readiness(self) -> tuple[int, str]:
        """Return what a readiness probe is answered."""
        asked: Any = None
        answer = await self.public._ready(asked)
        return answer.status, answer.text or ""

    async def names(self) -> set[str]:
        """Return the names of all samples."""
        text = (await self.public._make(openmetrics=False)).decode()
        return {x.split("{")[0].split(" ")[0] for x in text.splitlines() if not x.startswith("#")}


async def test_the_ledger_is_shown():
    assert {"sublet_lease_gpu_seconds_total", "sublet_tenant_charges_total"} <= await Operator().names()  # fmt: skip


async def test_before_the_hub_was_read_nothing_is_told_of_leases_claims_and_the_ledger():
    operator = Operator()
    operator.memory.ready = False
    await operator.public.carry_on()

    early = await operator.names()

    assert early >= {"sublet_build_info", "sublet_leader"}
    kept = (
        "sublet_lease_",
        "sublet_claim_",
        "sublet_tenant_",
        "sublet_pending_",
        "sublet_cluster_",
    )
    assert not [name for name in early if name.startswith(kept) or name.endswith("_total")]

    operator.memory.ready = True
    assert "sublet_lease_used_gpus" in await operator.names()


async def test_while_the_ledger_is_away_its_series_are_absent_and_the_others_stay():
    operator = Operator()
    operator.lines.away = True

    names = await operator.names()

    assert "sublet_leader" in names
    assert not [name for name in names if name.endswith("_total")]


def sold_in_steps(scribe: Scribe) -> None:
    """Write what a claim agreed to, as a newer version may."""
    scribe.reserved("b", "h100")
    terms = scribe.facts[-1]
    newer = scribe.texts[terms.price_hash].replace("Fixed", "Tiered")
    scribe.facts[-1] = replace(terms, price_hash=content_hash(newer))
    scribe.texts[content_hash(newer)] = newer


def priced_in_steps(scribe: Scribe) -> None:
    """Write a claim's bill at a price of a newer version."""
    scribe.held("b", "west", 8, NOW - 1_000)
    newer = '{"currency":"USD","kind":"tiered"}'
    scribe.facts[-1] = replace(scribe.facts[-1], price_hash=content_hash(newer))
    scribe.texts[content_hash(newer)] = newer


@pytest.mark.parametrize("write", [sold_in_steps, priced_in_steps])
async def test_while_the_ledger_has_a_text_of_a_newer_version_its_series_are_absent_and_the_others_stay(
    write: Callable[[Scribe], None],
):
    operator = Operator()
    write(operator.scribe)
    operator.lines.write()

    with capture_logs() as logs:
        names = await operator.names()
        again = await operator.names()

    assert "sublet_leader" in names & again
    assert not [name for name in names | again if name.endswith("_total")]
    assert "written by a newer" in logs[0]["error"]


async def test_a_line_that_cant_be_taken_is_said_in_the_same_words_at_each_look():
    operator = Operator()
    scribe = operator.scribe
    scribe.held("b", "west", 8, NOW - 2_000, NOW - 1_000)
    newer = '{"currency":"USD","kind":"tiered"}'
    scribe.facts[-2:] = (replace(f, price_hash=content_hash(newer)) for f in scribe.facts[-2:])
    scribe.texts[content_hash(newer)] = newer
    operator.lines.write()

    with capture_logs() as logs:
        for _ in range(2):
            await operator.names()

    first, second = (log["error"] for log in logs)
    assert "written by a newer" in first
    assert second == first


async def test_a_look_at_the_ledger_that_fails_as_nothing_expects_is_said_and_all_else_is_shown(
    monkeypatch: pytest.MonkeyPatch,
):
    operator = Operator()

    async def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(operator.lines, "read_entries", broken)
    with capture_logs() as logs:
        names = await operator.names()

    assert "sublet_leader" in names
    assert [log["event"] for log in logs] == ["ledger not shown"]


async def test_a_fault_that_nothing_expects_is_said_and_the_next_look_is_made_all_the_same(
    monkeypatch,
):
    operator = Operator()
    monkeypatch.setattr(server, "EVERY_SECONDS", 0.0)
    claims = operator.memory.claims

    def broken() -> Any:
        monkeypatch.setattr(operator.memory, "claims", claims)
        raise KeyError("x")

    monkeypatch.setattr(operator.memory, "claims", broken)
    with capture_logs() as logs:
        running = asyncio.create_task(operator.public.run())
        await eventually("it goes on", lambda: operator.public._coverage is not None)
    running.cancel()

    assert logs[0]["event"] == "metrics not carried on"


@pytest.mark.parametrize("heard_ms", [NOW, None])
async def test_a_lease_that_wasnt_heard_of_is_absent(heard_ms):
    operator = Operator()
    operator.memory.seen_ms = heard_ms

    assert ("sublet_tenant_charges_total" in await operator.names()) is (heard_ms is not None)


async def test_a_pod_is_ready_once_it_has_read_the_hub_and_opened_the_ledger():
    operator = Operator()

    assert await operator.readiness() == (200, "ok\n")


async def test_a_pod_that_has_not_read_the_hub_is_not_ready():
    operator = Operator()
    operator.memory.ready = False

    assert await operator.readiness() == (503, "the hub hasn't been read yet\n")


async def test_a_pod_that_does_not_follow_the_hub_is_not_ready():
    operator = Operator()
    operator.followed = False

    assert await operator.readiness() == (503, "the hub isn't followed yet: see the log\n")


async def test_a_pod_whose_ledger_never_opened_is_not_ready():
    operator = Operator()
    operator.opened = False

    assert await operator.readiness() == (503, "the ledger hasn't been opened yet: see the log\n")


async def test_a_pod_stays_ready_while_a_ledger_that_was_opened_is_away():
    operator = Operator()
    operator.lines.away = True

    assert await operator.readiness() == (200, "ok\n")


async def test_a_ledger_that_doesnt_answer_is_left_out_of_a_scrape_and_is_there_once_it_does(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(server, "_LEDGER_SECONDS", 0.01)
    operator, answers = Operator(), asyncio.Event()
    read = operator.lines.read_entries

    async def slowly(*args: Any) -> Any:
        await answers.wait()
        return await read(*args)

    operator.lines.read_entries = slowly  # type: ignore[assignment,method-assign]  # a volume that hangs

    for _ in range(2):
        names = await operator.names()
        assert "sublet_leader" in names
        assert "sublet_lease_gpu_seconds_total" not in names
    answers.set()
    monkeypatch.setattr(server, "_LEDGER_SECONDS", 5.0)
    assert "sublet_lease_gpu_seconds_total" in await operator.names()
