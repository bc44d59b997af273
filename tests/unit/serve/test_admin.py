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


async def test_a_page_in_a_browser_cant_read_it():
    async with serving(TEXT) as server, aiohttp.ClientSession() as session:
        url = server.make_url("/admin/v1/pass")
        async with session.get(url, headers={"Host": "evil.example"}) as got:
            assert got.status == 403
