"""One thread for a database's blocking calls, with a limit: a store that doesn't answer in time is away, not slow."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sublet.ledger.port import LedgerUnavailable

T = TypeVar("T")


class Worker:
    """Runs calls one after the other, never on the event loop."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._hung: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """Run work; LedgerUnavailable if it takes longer, and until that call has ended."""
        if self._hung is not None and not self._hung.done():
            raise LedgerUnavailable("the ledger's store doesn't answer")
        call = asyncio.get_running_loop().run_in_executor(self._thread, work)
        done, _ = await asyncio.wait({call}, timeout=seconds)
        if not done:
            # its result is unknown: every write may be repeated, so nothing is lost and nothing doubled
            call.add_done_callback(lambda late: late.cancelled() or late.exception())
            self._hung = call
            raise LedgerUnavailable(f"the ledger's store hasn't answered for {seconds:.0f} seconds")
        return call.result()

    def close(self) -> None:
        """Take no more calls; one that hangs is left to itself."""
        self._thread.shutdown(wait=False)
