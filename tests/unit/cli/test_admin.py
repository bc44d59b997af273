"""How long the operator's admin endpoint is waited for, and what is said then."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from sublet.cli import admin
from sublet.cli.admin import fetch
from sublet.cli.problems import Problem

VERIFY, ENTRIES = "/admin/v1/ledger/verify", "/admin/v1/ledger/entries"


@pytest.fixture
async def late() -> AsyncIterator[str]:
    """An endpoint that answers once its reader has waited for longer than a short answer takes."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.json_response({"entries": 7})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_long_read_of_the_ledger_is_waited_for(late: str, monkeypatch: Any):
    monkeypatch.setattr(admin, "_ANSWER_SECONDS", 0.05)

    assert await fetch(late, VERIFY, {}) == {"entries": 7}


@pytest.mark.parametrize(
    ("path", "limit"), [(VERIFY, "_LEDGER_SECONDS"), (ENTRIES, "_ANSWER_SECONDS")]
)
async def test_an_endpoint_that_is_silent_for_too_long_is_not_said_to_be_away(
    late: str, path: str, limit: str, monkeypatch: Any
):
    monkeypatch.setattr(admin, limit, 0.05)

    with pytest.raises(Problem, match=r"hasn't answered in 0\.05 seconds; .*--database"):
        await fetch(late, path, {})


async def test_an_endpoint_that_isnt_there_is_away():
    with pytest.raises(Problem, match=r"doesn't answer .*; is the operator running"):
        await fetch("http://127.0.0.1:1", VERIFY, {})


@pytest.mark.parametrize("given", ["127.0.0.1:8081", "localhost", "ftp://x", "http://", "http://x:99999", "http://[::1"])  # fmt: skip
async def test_what_is_no_url_is_not_taken_for_an_endpoint_that_is_away(given: str):
    with pytest.raises(Problem, match=r"--admin: .* is no address; give it as http://HOST:PORT"):
        await fetch(given, VERIFY, {})
