"""The operators of a world: started again when they were killed, told apart, put under another clock.

They share one ledger, as replicas share a store, and run without election: two at once must do no harm.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack

_LOOK_SECONDS: Final = 0.02
_SHIPPED: Final = "tests.harness.shifting"
"""The operator as it ships, but that its clock can be moved."""
_IMPATIENT: Final = "tests.faults.impatient"


class Operators:
    """All operators that should run; one that ends is started again, as a Deployment does."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._wanted: list[OperatorProcess] = []
        self._leaving: list[OperatorProcess] = []
        self._keeper: asyncio.Task[None] | None = None
        self._impatient_of = ""  # a kind
        self._clock = Path(stack.folder / "clock-shift")

    async def open(self) -> None:
        """Start the first one and keep them alive from now on."""
        await self.start()
        self._keeper = asyncio.create_task(self._keep())

    def close(self) -> None:
        """Kill all."""
        if self._keeper is not None:
            self._keeper.cancel()
        for operator in (*self._wanted, *self._leaving):
            operator.kill()

    def pids(self) -> list[int]:
        """Return the operators that run."""
        return [o.pid for o in (*self._wanted, *self._leaving) if not o.ended]

    async def start(self, name: str = "operator") -> int:
        """Start one more and return its pid."""
        module = _IMPATIENT if self._impatient_of else _SHIPPED
        operator = OperatorProcess(
            self._stack, name, module=module, IMPATIENT_OF=self._impatient_of, SUBLET_LEADER_ELECTION="false",
            SUBLET_DRIFT_SECONDS="5", SUBLET_PROBE_SECONDS="0.5",
            SUBLET_DATABASE_URL=f"sqlite:///{self._stack.folder}/ledger.sqlite", CLOCK_SHIFT=str(self._clock),
        )  # fmt: skip
        await asyncio.to_thread(operator.start)
        self._wanted.append(operator)
        return operator.pid

    async def restart(self) -> None:
        """Kill the first one and wait until it runs again."""
        first = self._wanted[0]
        before = first.pid
        first.kill()
        while first in self._wanted and (first.ended or first.pid == before):  # noqa: ASYNC110  another process has no event of ours
            await asyncio.sleep(_LOOK_SECONDS)

    async def retire_first(self) -> None:
        """Ask the oldest to end and wait until it has."""
        oldest = self._wanted.pop(0)
        self._leaving.append(oldest)
        with suppress(ProcessLookupError):
            await asyncio.to_thread(oldest.terminate, 40.0)
        self._leaving.remove(oldest)

    def only_first(self) -> bool:
        """Kill all but the first; return whether there was another."""
        others = self._wanted[1:]
        for operator in others:
            operator.kill()
        del self._wanted[1:]
        return bool(others)

    async def impatient_of(self, resource: str) -> None:
        """Put another operator in the place of the first: it and those that follow soon take a silent watch of this kind for dead."""
        self._impatient_of = resource
        await self._renew()

    async def be_patient(self) -> None:
        """Put another operator in the place of an impatient one."""
        if self._impatient_of:
            await self.impatient_of("")

    async def _renew(self) -> None:
        self.only_first()
        self._wanted.pop(0).kill()
        self.move_clock(0)
        await self.start()

    def move_clock(self, hours: float) -> None:
        """Let the operators' clock be so far ahead."""
        self._clock.write_text(str(hours))

    async def set_clock_right(self) -> None:
        """Put the clock right under another operator: to one that runs, time never goes back."""
        await self._renew()

    def tail(self) -> str:
        """Return the end of the operators' logs."""
        return "\n".join(o.tail(20) for o in self._wanted)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for operator in list(self._wanted):
                if operator.ended:
                    with suppress(AssertionError):  # killed again while it started
                        await asyncio.to_thread(operator.start)
                    if (
                        operator not in self._wanted
                    ):  # taken away meanwhile: nobody would know of it
                        operator.kill()
