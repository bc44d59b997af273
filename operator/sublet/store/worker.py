"""One thread for a database's blocking calls, with a limit: a store that is silent for so long is away, not slow.

A long read goes on for as long as rows come: how long a whole ledger takes is no sign of anything.
"""

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
        self._beats = 0

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """Run work; LedgerUnavailable if it takes longer without a beat, and until that call has ended."""
        if self._hung is not None and not self._hung.done():
            raise LedgerUnavailable("the ledger's store doesn't answer")
        call = asyncio.get_running_loop().run_in_executor(self._thread, work)
        # nobody may wait for it any more when it fails
        call.add_done_callback(lambda late: late.cancelled() or late.exception())
        if not await self._has_ended(call, seconds):
            # its result is unknown: every write may be repeated, so nothing is lost and nothing doubled
            self._hung = call
            raise LedgerUnavailable(f"the ledger's store hasn't answered for {seconds:.0f} seconds")
        return call.result()

    def beat(self) -> None:
        """Say that the call under way goes on. Called from its thread."""
        self._beats += 1

    async def _has_ended(self, call: asyncio.Future[T], seconds: float) -> bool:
        while True:
            beats = self._beats
            done, _ = await asyncio.wait({call}, timeout=seconds)
            if done or beats == self._beats:
                return bool(done)

    def close(self) -> None:
        """Take no more calls; one that hangs is left to itself."""
        self._thread.shutdown(wait=False)
