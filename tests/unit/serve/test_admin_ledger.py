"""The ledger's lines on the admin endpoint, and `sublet verify` that reads them page by page."""

from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from sublet.cli.admin import fetch
from sublet.cli.problems import Problem
from sublet.cli.verify_ledger import AdminLedger
from sublet.serve import admin
from sublet.serve.admin import Admin
from tests.builders.worlds import bound_claim, sound_world

ENTRIES = sound_world(*(bound_claim(f"c{i}", on=i % 4) for i in range(5))).ledger.entries
PRICE = ENTRIES[0].fact.price_hash


class Store:
    """A ledger in memory."""

    async def read_entries(self, after_seq: int = 0, limit: int | None = None):
        return list(ENTRIES[after_seq:])[:limit]

    async def read_terms(self, hashes):
        return {h: "{}" for h in hashes if h == PRICE}


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


async def test_a_line_number_that_is_none_is_refused():
    async with serving() as server:
        base = str(server.make_url("/")).rstrip("/")
        with pytest.raises(Problem, match="give after="):
            await fetch(base, "/admin/v1/ledger/entries", {"after": "-1"})
