"""The last pass on the admin endpoint, and `sublet dump` that reads it."""

import asyncio
import sys
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from sublet.book.plan import plan
from sublet.cli.main import main
from sublet.cli.problems import Problem
from sublet.cli.replay import ask
from sublet.record.passes import Recorded, lines_of, read_pass, write_pass
from sublet.serve.admin import Admin
from tests.builders.api import as_claim, as_lease
from tests.builders.fleet import inventory, nodes, view
from tests.harness.fake_api import SteppedClock

WEST = as_lease()
SEEN = view([as_claim()], [(WEST, inventory(WEST, nodes(WEST, 2)))])
TEXT = write_pass(Recorded(SEEN, lines_of(plan(SEEN))))


def serving(text: str | None) -> TestServer:
    async def last() -> str | None:
        return text

    nobody: Any = None
    return TestServer(Admin(nobody, nobody, nobody, nobody, last_pass=last).app())


async def test_the_last_pass_comes_as_it_was_recorded():
    async with serving(TEXT) as server:
        text = await ask(context=None, namespace="x", given=str(server.make_url("/")))

    assert text == TEXT
    assert read_pass(text).view == SEEN


async def test_dump_prints_it(monkeypatch, capsys):
    async with serving(TEXT) as server:
        monkeypatch.setattr(sys, "argv", ["sublet", "dump", "--admin", str(server.make_url("/"))])
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main)

    assert not ended.value.code
    assert capsys.readouterr().out == f"{TEXT}\n"


async def test_before_anything_was_decided_there_is_none():
    async with serving(None) as server:
        with pytest.raises(Problem, match="no pass has decided anything"):
            await ask(context=None, namespace="x", given=str(server.make_url("/")))


class State:
    """What a replica knows of the hub: one lease, nothing else."""

    def claims(self) -> tuple[Any, ...]:
        return ()

    def leases(self) -> tuple[Any, ...]:
        return (WEST,)

    def classes(self) -> tuple[Any, ...]:
        return ()


async def test_the_page_is_shown_and_kept_by_nobody():
    nobody: Any = None
    state: Any = State()
    clock = SteppedClock()
    app = Admin(state, nobody, nobody, clock, last_pass=nobody).app()

    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.get(server.make_url("/")) as got,
    ):
        text = await got.text()

    assert "<h2>west</h2>" in text
    assert got.content_type == "text/html"
    assert got.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in got.headers["Content-Security-Policy"]


async def test_a_page_in_a_browser_cant_read_it():
    async with serving(TEXT) as server, aiohttp.ClientSession() as session:
        url = server.make_url("/admin/v1/pass")
        async with session.get(url, headers={"Host": "evil.example"}) as got:
            assert got.status == 403
