"""A session that was closed leaves nothing open, whatever its server does about it: a command ends, and so does its loop."""

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sublet.kube.session import ApiServer, Endpoint
from tests.builders.pem import certificate_and_key

LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class NeverDone:
    """A TLS server that answers one request as its last, and doesn't end the connection."""

    def __init__(self, folder: Path) -> None:
        certificate, key = certificate_and_key(address="127.0.0.1")
        pair = folder / "pair.pem"
        pair.write_text(certificate + key)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pair)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.endpoint = Endpoint(f"https://127.0.0.1:{self._listener.getsockname()[1]}", certificate)  # fmt: skip

    def close(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        taken, _ = self._listener.accept()
        with self._tls.wrap_socket(taken, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(LAST)
            self._over.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NeverDone]:
    with closing(NeverDone(tmp_path)) as running:
        yield running


def test_a_server_that_never_ends_a_connection_leaves_none_open(server):
    async def ask() -> None:
        async with ApiServer(server.endpoint) as api:
            await api.request("GET", "/version")

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(ask())
        gc.collect()

    assert [str(each.message) for each in warned] == []
