"""The network that tests put before a server: it leaves nothing open, whatever its two sides do about it."""

import asyncio
import gc
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.builders.pem import certificate_and_key
from tests.harness.between import Between
from tests.harness.listener import drop_all
from tests.harness.silent import Silent

WATCH = b"GET /api/v1/nodes?watch=true HTTP/1.1\r\nHost: x\r\n\r\n"
LINE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    certificate, key = certificate_and_key(address="127.0.0.1")
    for name, text in (("ca.crt", certificate), ("server.crt", certificate), ("server.key", key)):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def server(certificates: Path) -> Iterator[Silent]:
    with closing(Silent(LINE, certificates / "server.crt", certificates / "server.key")) as running:
        yield running


def test_a_network_that_is_taken_away_leaves_nothing_open(server: Silent, certificates: Path):
    assert left_open(server.url, certificates, WATCH) == []


@pytest.mark.parametrize("sent", [b"", b"POST /x HTTP/1.1\r\n"], ids=["nothing", "a part"])
def test_nor_what_never_became_a_request(certificates: Path, sent: bytes):
    assert left_open("https://127.0.0.1:9", certificates, sent) == []


def test_nor_what_comes_as_it_is_taken_away(certificates: Path):
    def come(port: int) -> None:
        with suppress(OSError):  # it is gone
            while True:
                socket.create_connection(("127.0.0.1", port)).close()

    for _ in range(3):  # seen in every second one
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", ResourceWarning)
            network = Between("https://127.0.0.1:9", certificates).start()
            coming = [threading.Thread(target=come, args=(network.port,)) for _ in range(3)]
            for each in coming:
                each.start()
            time.sleep(0.05)
            network.stop()
            for each in coming:
                each.join()
            del network
            gc.collect()
        assert [str(each.message) for each in warned] == []


def test_what_was_closed_with_bytes_unsent_and_sent_them_is_no_hindrance():
    async def close_with_bytes_unsent() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            _, writer = await asyncio.open_connection(sock=ours)
            size = 4 * 1024 * 1024  # more than a socket holds
            writer.write(bytes(size))
            writer.close()
            while size:
                size -= len(await asyncio.to_thread(theirs.recv, size))
            await writer.wait_closed()
            drop_all()

    asyncio.run(close_with_bytes_unsent())


def left_open(server: str, certificates: Path, sent: bytes) -> list[str]:
    """Return what stays open of a network to which one connection said this, and another not even that it speaks TLS."""
    trust = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        network = Between(server, certificates).start()
        there = ("127.0.0.1", network.port)
        with (
            socket.create_connection(there),
            socket.create_connection(there) as plain,
            trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            secure.sendall(sent)
            if sent == WATCH:
                secure.recv(65536)
            network.stop()
        del network
        gc.collect()
    return [str(each.message) for each in warned]
