"""Starting the process that exports, and hearing what it says."""

import asyncio
import contextlib
import sys
from typing import Final

from sublet.export.schedule.job import Done, Fault, Job, Task, read_result, write_order

_LONGEST_SECONDS: Final = 6 * 3_600.0
"""For all of an export; a target that hangs holds up nothing else."""
_PATIENCE_SECONDS: Final = 5.0
_WORDS: Final = 300
"""Of what a process that broke down said last."""


class WorkerProcess:
    """Carries out jobs, each in a process of its own."""

    def __init__(self, task: Task, command: tuple[str, ...] = ()) -> None:
        self._task = task
        self._command = command or (sys.executable, "-m", "sublet.export.schedule")

    async def __call__(self, job: Job) -> list[Done | Fault]:
        """Return what was done and what wasn't; a process that breaks down is a fault, too."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=pipe
            )
        except OSError as error:
            return [Fault("the process", f"it can't be started: {error.strerror}")]
        found: list[Done | Fault] = []
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                said = await self._talk(process, job, found)
        except TimeoutError:
            found.append(Fault("the process", f"it took longer than {_LONGEST_SECONDS:.0f} s"))
        else:
            if process.returncode != 0:
                found.append(
                    Fault("the process", f"it ended with status {process.returncode}{said}")
                )
        finally:
            await _end(process)
        return found

    async def _talk(
        self, process: asyncio.subprocess.Process, job: Job, found: list[Done | Fault]
    ) -> str:
        """Give the order and hear the results; return the last words on standard error."""
        assert process.stdin is not None  # noqa: S101  we asked for pipes
        assert process.stdout is not None  # noqa: S101  likewise
        assert process.stderr is not None  # noqa: S101  likewise
        errors = asyncio.create_task(process.stderr.read())
        # one that ended at once is heard of by its status
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(write_order(self._task, job))
            await process.stdin.drain()
        async for line in process.stdout:
            try:
                found.append(read_result(line))
            except ValueError as error:
                found.append(Fault("the process", str(error)))
        await process.wait()
        words = (await errors).decode(errors="replace").strip().splitlines()
        return f": {words[-1][:_WORDS]}" if words else ""


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process that is still there: asked first, so that it takes its drafts away."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
