"""A network between the operator and one API server that can be cut: bytes are passed on as they are, TLS within.

Cut means what a broken link means: connections stay open, new ones are accepted, and nothing comes through any more.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.harness.listener import Listener

_CHUNK = 65_536


class Relay(Listener):
    """One listening port that leads to one server."""

    def __init__(self, server: str) -> None:
        super().__init__("relay")
        self._target = urlsplit(server)
        self._whole = asyncio.Event()

    def cut(self) -> None:
        """Let nothing through until `heal`."""
        self._tell(self._whole.clear)

    def heal(self) -> None:
        """Let everything through again, what waited first."""
        self._tell(self._whole.set)

    async def _listen(self) -> None:
        self._whole.set()
        listening = self._open()
        server = await asyncio.start_server(self._accept, sock=listening)
        await self._serve_on(listening)
        server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # the relay is stopped
            await asyncio.gather(self._pass_on(reader, there[1]), self._pass_on(there[0], writer))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(_CHUNK):
                await self._whole.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


@contextlib.contextmanager
def relayed(kubeconfig: Path, copy: Path) -> Iterator[Relay]:
    """Write a kubeconfig's copy whose server is reached through a relay, and give the relay."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    relay = Relay(cluster["server"]).start()
    cluster["server"] = relay.url
    copy.write_text(yaml.safe_dump(config))
    try:
        yield relay
    finally:
        relay.stop()
