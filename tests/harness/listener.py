"""A server of a test's own: one port, served by an event loop in a thread beside the test's."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, Final, Self

TURNS_SECONDS: Final = 0.1
"""In which what an event loop has begun with connections is done."""


async def stop_accepting(listening: socket.socket) -> None:
    """Take no more connections, and have those that were taken begin: a server that closes first leaves them open (CPython's issue 109564)."""
    asyncio.get_running_loop().remove_reader(listening)
    await asyncio.sleep(TURNS_SECONDS)


def drop_all() -> None:
    """Drop every connection of the loop: also one that never became a request, or whose TLS has only begun."""
    loop: Any = asyncio.get_running_loop()
    for connection in tuple(loop._transports.values()):
        # one that was closed with bytes unsent, and has sent them, breaks on it
        if connection.get_protocol() is not None:
            connection.abort()


class Listener:
    """What a network between the operator and a server has in common; `_listen` serves until `_over` is set.

    What is open then is dropped without a farewell: the end of a TLS connection takes as long as its other side likes, and the
    event loop doesn't wait for it.
    """

    def __init__(self, name: str) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), name=name)
        self.port = 0

    @property
    def url(self) -> str:
        """Return the server's URL as seen from this side."""
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Listen; AssertionError if it ends instead."""
        self._thread.start()
        self._listening.wait()
        assert self.port, "it doesn't listen"
        return self

    def stop(self) -> None:
        """Close everything."""
        self._tell(self._over.set)
        self._thread.join()

    def _tell(self, what: Callable[[], None]) -> None:
        assert self._loop is not None, "start it first"
        self._loop.call_soon_threadsafe(what)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._listen()
        finally:
            self._listening.set()
        drop_all()
        await asyncio.sleep(TURNS_SECONDS)

    async def _listen(self) -> None:
        """Serve on a socket of `_open`, wait by `_serve_on`, and close."""
        raise NotImplementedError

    def _open(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    async def _serve_on(self, listening: socket.socket) -> None:
        """Say that all is served that comes here, until it is over."""
        self.port = listening.getsockname()[1]
        self._listening.set()
        await self._over.wait()
        await stop_accepting(listening)
        drop_all()
