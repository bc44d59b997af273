"""The admin endpoint's page as the operator serves it, over views that a test chooses."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sublet.book.view import View
from sublet.serve.admin import Admin
from sublet.serve.server import listen
from tests.builders.api import NOW
from tests.harness.fake_api import SteppedClock


class Desk:
    """What the replica knows of the hub, and where its page is."""

    def __init__(self) -> None:
        self.view = View(NOW)
        self.port = 0

    @property
    def url(self) -> str:
        """Return the page's address."""
        return f"http://127.0.0.1:{self.port}/"

    def claims(self) -> Any:
        return self.view.claims

    def leases(self) -> Any:
        return self.view.leases

    def classes(self) -> Any:
        return self.view.classes


@contextmanager
def served_desk() -> Iterator[Desk]:
    """Serve the page for the length of the block, beside the test, which waits for its browser."""
    desk = Desk()
    nobody: Any = None
    clock = SteppedClock()
    clock.seconds = NOW / 1_000
    state: Any = desk
    app = Admin(state, nobody, nobody, clock, last_pass=nobody).app()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner, desk.port = asyncio.run_coroutine_threadsafe(listen(app, "127.0.0.1", 0), loop).result()
    try:
        yield desk
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
