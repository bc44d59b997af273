"""What a real Prometheus makes of /metrics, and what promtool says of it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sublet.api.times import Millis
from sublet.clock import SystemClock
from sublet.kube.session import ApiServer, Limits
from sublet.serve.auth import MetricsGate
from sublet.serve.books import LedgerBooks
from sublet.serve.claims import ClaimSeries
from sublet.serve.server import Public, listen
from sublet.serve.timings import Timings
from sublet.store.sql import SqlLedger
from tests.builders.api import as_claim, as_lease, as_tenant, claim, lease, tenant
from tests.builders.ledgered import Memory, adjusted, down
from tests.builders.sales import sold
from tests.builders.wholesale import Scribe
from tests.harness.fake_api import fake_api
from tests.harness.prometheus import PrometheusServer, promtool
from tests.integration.chart.queries import everything
from tests.planes.binaries import ROOT

HOUR = 3_600_000
RULES = ROOT / "charts/sublet/rules/recording.yaml"
SLA = {"creditPercent": 100, "maxPercent": 100, "graceSeconds": 0, "claimWithinDays": 10}
FORMATS = {
    "text": "text/plain",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
}


class Listening:
    """An operator's public listener over a real ledger and a hub that knows one token; it can be ended and begun anew."""

    def __init__(self, folder: Path, hub: ApiServer) -> None:
        self._database, self._hub = folder / "ledger.sqlite", hub
        self._runner: web.AppRunner | None = None
        self.clock, self.timings, self.port = SystemClock(), Timings(), 0

    async def start(self) -> None:
        self._ledger = SqlLedger(f"sqlite:///{self._database}")
        await self._ledger.start()
        books = LedgerBooks(self._ledger)
        public = Public(
            seen(self.clock.now_ms), books, self.timings, self.clock,
            opened=lambda: True, followed=lambda: True, gate=MetricsGate(self._hub, self.clock), opencost=True,
            claims=ClaimSeries(retention_seconds=3_600),
        )  # fmt: skip
        self._runner, self.port = await listen(public.app(), "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self._ledger.close()

    async def write(self, scribe: Scribe) -> None:
        facts = sorted(scribe.facts, key=lambda f: f.at_ms)
        await self._ledger.append(facts, scribe.texts)

    async def scrape(self, accept: str = "text/plain", token: str = "good") -> tuple[int, bytes]:
        headers = {"Accept": accept, "Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as got:
            return got.status, await got.read()


class Seen(Memory):
    """Clusters that answer all the time."""

    def __init__(self, now: Callable[[], Millis], **shelves: Any) -> None:
        super().__init__(**shelves)
        self._now = now

    def cluster(self, uid):
        self.seen_ms = self._now()
        return super().cluster(uid)


def seen(now: Callable[[], Millis]) -> Seen:
    west = as_lease(lease("west", committed=16, sla=SLA), uid="west")
    budget = {"amount": "100.00", "currency": "USD", "period": "Month"}
    return Seen(
        now,
        claims=[sold("a", west, 8, until_ms=Millis(now() + HOUR)), as_claim(claim("waits"))],
        leases=[west],
        tenants=[as_tenant(tenant(budget=budget), uid="acme")],
    )


def story(now_ms: int) -> Scribe:
    """Write a ledger in which everything happened at least once."""
    scribe = Scribe()
    scribe.lease("west", committed=16, sla=SLA)
    scribe.capacity("west", now_ms - 9 * HOUR, 16)
    scribe.capacity("west", now_ms - 8 * HOUR, 12, sequence=2)
    scribe.capacity("west", now_ms - 7 * HOUR, 16, sequence=3)
    scribe.reserved("a", "h100")
    scribe.held("a", "west", 8, now_ms - 5 * HOUR)
    down(scribe, "a", "west", 8, now_ms - 4 * HOUR, now_ms - 3 * HOUR, "NodeNotReady")
    scribe.reserved("b", "h100")
    scribe.held("b", "west", 8, now_ms - 5 * HOUR, now_ms - HOUR // 2)
    adjusted(scribe, "acme", now_ms - HOUR, "-5.00")
    adjusted(scribe, "acme", now_ms - HOUR, "2.50")
    return scribe


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Listening]:
    async def token(request: web.Request) -> web.StreamResponse:
        given = (await request.json())["spec"]["token"]
        status = {"authenticated": given in ("good", "other"), "user": {"username": given}}
        return web.json_response({"status": status})

    async def access(request: web.Request) -> web.StreamResponse:
        user = (await request.json())["spec"]["user"]
        return web.json_response({"status": {"allowed": user == "good"}})

    async with fake_api() as api:
        api.objects["/apis/authentication.k8s.io/v1/tokenreviews"] = token
        api.objects["/apis/authorization.k8s.io/v1/subjectaccessreviews"] = access
        hub = ApiServer(api.endpoint, Limits())
        listening = Listening(tmp_path, hub)
        await listening.start()
        await listening.write(story(listening.clock.now_ms()))
        yield listening
        await listening.stop()
        await hub.close()


async def until(what: str, look: Callable[[], Any], *, seconds: float = 60) -> Any:
    """Wait, without holding up the listener, until `look` gives something truthy."""
    try:
        async with asyncio.timeout(seconds):
            while not (found := await asyncio.to_thread(look)):  # noqa: ASYNC110  it is another process
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None
    return found


async def test_promtool_finds_nothing_to_say_about_a_scrape(operator: Listening):
    operator.timings.exported("focus-1.4", 10, operator.clock.now_ms(), is_closed=True)
    operator.timings.took("lock", 0.1)
    operator.timings.planned(0.1)
    operator.timings.unexported(3)

    status, text = await operator.scrape()

    assert status == 200
    assert await asyncio.to_thread(promtool, "check", "metrics", given=text) == ""


async def test_only_who_may_reads_it(operator: Listening):
    assert [(await operator.scrape(token=t))[0] for t in ("good", "other", "bad")] == [
        200,
        403,
        401,
    ]


@pytest.mark.parametrize("accept", FORMATS.values(), ids=FORMATS)
async def test_both_formats_say_the_same(operator: Listening, accept: str):
    _, text = await operator.scrape(accept)

    assert b"sublet_lease_gpu_seconds_total{" in text
    assert b'sublet_claim_downtime_seconds_total{namespace="acme",claim="a"' in text
    assert text.endswith(b"# EOF\n") == ("openmetrics" in accept)


async def test_prometheus_scrapes_it_and_a_restart_lets_no_counter_fall(
    operator: Listening, tmp_path: Path
):
    server = await asyncio.to_thread(
        PrometheusServer, tmp_path, f"127.0.0.1:{operator.port}", "good", RULES
    )
    try:
        billed = "sublet_tenant_billable_gpu_seconds_total"
        first = await until("it is scraped", lambda: server.query(billed))
        (target,) = await asyncio.to_thread(server.targets)
        assert (target["health"], target["lastError"]) == ("up", "")
        assert first[0][1] >= 8 * 4.5 * 3600

        await operator.stop()
        await until("it is seen to be down", lambda: server.query("up == 0"))
        await operator.start()
        await until("it is scraped again", lambda: server.query("up == 1"))
        await until("it goes on", lambda: server.query(billed)[0][1] > first[0][1])

        counters = await asyncio.to_thread(server.history, '{__name__=~"sublet_.+_total"}[10m]')
        assert len(counters) > 10
        assert [labels for labels, values in counters if values != sorted(values)] == []
        assert await until("rules are kept", lambda: server.query("lease:sublet_coverage:ratio"))  # fmt: skip
    finally:
        await asyncio.to_thread(server.stop)


def test_promtool_takes_the_rules():
    said = promtool("check", "rules", RULES)
    assert re.search(r"SUCCESS: \d+ rules found", said)


def test_the_rules_do_what_they_say():
    promtool("test", "rules", ROOT / "tests/integration/serve/recording_test.yaml")


async def test_two_replicas_answer_every_query_of_alerts_rules_and_dashboards(
    operator: Listening, tmp_path: Path
):
    replicas = f"127.0.0.1:{operator.port} localhost:{operator.port}"
    alerts = ROOT / "charts/sublet/rules/alerts.yaml"
    server = await asyncio.to_thread(PrometheusServer, tmp_path, replicas, "good", RULES, alerts)
    try:
        await until("both are scraped", lambda: len(server.query("sublet_build_info")) == 2)
        asked = everything().items()
        answers = {what: await asyncio.to_thread(server.query, expr) for what, expr in asked}
    finally:
        server.stop()

    # of two replicas that show the same 16 GPUs are no 32
    assert answers["book: Committed GPUs 0"] == [({}, 16)]
    assert answers["book: Held by claims 1"] == [({}, 8)]
