"""A session that was closed leaves nothing open, whatever its server does about it: a command ends, and so does its loop."""

import asyncio
import gc
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sublet.kube.session import ApiServer, Endpoint
from tests.builders.pem import certificate_and_key
from tests.harness.silent import Silent

LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    certificate, key = certificate_and_key(address="127.0.0.1")
    pair = tmp_path / "pair.pem"
    pair.write_text(certificate + key)
    with closing(Silent(LAST, pair)) as running:
        yield Endpoint(running.url, certificate)


def test_a_server_that_never_ends_a_connection_leaves_none_open(endpoint):
    async def ask() -> None:
        async with ApiServer(endpoint) as api:
            await api.request("GET", "/version")

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(ask())
        gc.collect()

    assert [str(each.message) for each in warned] == []
