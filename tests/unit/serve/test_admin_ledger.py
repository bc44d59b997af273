"""The ledger's lines on the admin endpoint, and `sublet verify` that reads them page by page."""

import threading
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from sublet.api.cancellation import GivenUp
from sublet.api.downtime import Downtime, DowntimeCause
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.outage import Outage
from sublet.api.relocation import LeaseGpus
from sublet.api.times import Millis
from sublet.cli.admin import fetch
from sublet.cli.keeping.books import last_terms
from sublet.cli.keeping.catching_up import Begun
from sublet.cli.keeping.mapping import Term
from sublet.cli.problems import Problem
from sublet.cli.verify_ledger import AdminLedger
from sublet.ledger.entry import EntryKind, Fact
from sublet.ledger.interval import Interval
from sublet.ledger.texts.evidence import Evidence
from sublet.serve import admin, books as books_module
from sublet.serve.admin import Admin
from tests.builders.worlds import bound_claim, sound_world

ENTRIES = sound_world(*(bound_claim(f"c{i}", on=i % 4) for i in range(5))).ledger.entries
PRICE = ENTRIES[0].fact.price_hash
WHY = Evidence(cause=DowntimeCause.GPUS_MISSING)


class Store:
    """A ledger in memory."""

    async def read_entries(self, after_seq: int = 0, limit: int | None = None):
        return list(ENTRIES[after_seq:])[:limit]

    async def read_terms(self, hashes):
        return {h: "{}" for h in hashes if h == PRICE} | {
            h: WHY.text for h in hashes if h == WHY.hash
        }


class Intervals:
    """Intervals of the ledger."""

    async def intervals(self) -> list[Interval]:
        def one(
            uid: str, sequence: int, kind: EntryKind, end_ms: int | None, lease: str = "l"
        ) -> Interval:
            end = Millis(end_ms) if end_ms is not None else None
            of = (ClaimUID(uid), sequence, TenantUID("t"), LeaseUID(lease), kind)
            return Interval(*of, 8, Millis(5), end, WHY.hash, "g")

        return [
            one("moved", 1, EntryKind.BOUND, 10),
            one("moved", 2, EntryKind.BOUND, None),
            one("moved", 2, EntryKind.BOUND, None, "k"),
            one("over", 1, EntryKind.BOUND, 20),
            one("over", 1, EntryKind.RELEASING, None),
            one("moved", 1, EntryKind.DISPUTED, 7),
            one("moved", 2, EntryKind.DISPUTED, None),
            one("over", 1, EntryKind.DOWNTIME, 9),
        ]


class Facts(Store):
    """A ledger of no lines."""

    async def facts(self) -> list[Fact]:
        return []


def serving() -> TestServer:
    nobody: Any = None
    return TestServer(Admin(nobody, Store(), nobody, nobody, last_pass=nobody).app())


async def test_the_ledger_comes_whole_and_proves_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(admin, "_PAGE", 2)
    async with serving() as server:
        ledger = AdminLedger(str(server.make_url("/")))
        assert tuple(await ledger.read_entries()) == ENTRIES
        assert tuple(await ledger.read_entries(3)) == ENTRIES[3:]

    assert (await ledger.verify()).fault is None
    assert set(await ledger.read_terms([PRICE, ENTRIES[0].fact.tags_hash])) == {PRICE}


async def test_each_claims_last_reservation_is_told_with_its_end():
    books: Any = Intervals()
    nobody: Any = None
    async with TestServer(Admin(nobody, Store(), books, nobody, last_pass=nobody).app()) as server:
        found = await last_terms(str(server.make_url("/")).rstrip("/"))

    times = {"lease_uid": "l", "gpus": 8, "from_time": Millis(5)}
    silent = Outage(sequence=2, **times)
    down = Downtime(sequence=1, **times, until_time=Millis(9), cause=WHY.cause)
    leases = tuple(LeaseGpus(lease_uid=uid, gpus=8) for uid in "kl")
    begun = Begun(Millis(5), leases, WHY.hash, "g")
    assert found == {
        "moved": Term(2, None, begun, outages=(silent,)),
        "over": Term(1, Millis(20), downtimes=(down,)),
    }


async def test_what_was_given_up_too_late_is_told_also_of_a_claim_that_was_never_bound():
    given = Interval(ClaimUID("ahead"), 1, TenantUID("t"), LeaseUID("l"), EntryKind.CANCELLED, 8, Millis(5), Millis(9), WHY.hash, "g")  # fmt: skip

    class GivenUpLate:
        async def intervals(self) -> list[Interval]:
            return [given]

    books: Any = GivenUpLate()
    nobody: Any = None
    async with TestServer(Admin(nobody, Store(), books, nobody, last_pass=nobody).app()) as server:
        found = await last_terms(str(server.make_url("/")).rstrip("/"))

    times = {"from_time": Millis(5), "until_time": Millis(9)}
    assert found == {
        "ahead": Term(0, None, given_up=(GivenUp(sequence=1, lease_uid="l", gpus=8, **times),))
    }


async def test_a_text_of_a_newer_version_is_said_in_one_line():
    class Newer(Store):
        async def read_terms(self, hashes: list[str]) -> dict[str, str]:
            return dict.fromkeys(hashes, WHY.text.replace(WHY.cause.value, "Frozen"))

    books: Any = Intervals()
    store: Any = Newer()
    nobody: Any = None
    async with TestServer(Admin(nobody, store, books, nobody, last_pass=nobody).app()) as server:
        with pytest.raises(Problem, match=r"the ledger can't be read: .*written by a newer"):
            await last_terms(str(server.make_url("/")).rstrip("/"))


async def test_what_a_big_ledger_has_much_of_holds_up_nothing_else(monkeypatch: pytest.MonkeyPatch):
    threads = []

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return {}

    monkeypatch.setattr(admin, "last_terms", noted)
    monkeypatch.setattr(books_module, "intervals", noted)
    store: Any = Facts()
    nobody: Any = None
    app = Admin(nobody, store, books_module.LedgerBooks(store), nobody, last_pass=nobody).app()
    async with TestServer(app) as server:
        await fetch(str(server.make_url("/")).rstrip("/"), "/admin/v1/ledger/open", {})

    assert len(threads) == 2
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("after", ["-1", "x", "²", "9" * 19, "9" * 5_000])
@pytest.mark.parametrize("what", ["entries?after", "audit?after", "position?seq"])
async def test_a_line_number_that_is_none_is_refused(what: str, after: str):
    async with serving() as server:
        base = str(server.make_url("/")).rstrip("/")
        path, name = what.split("?")
        with pytest.raises(Problem, match=f"{name}= "):
            await fetch(base, f"/admin/v1/ledger/{path}", {name: after})
