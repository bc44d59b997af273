"""Keeps passes that decided something, so that `sublet replay` can show what the book was given.

Told by the loop after each pass; written by one task in a thread, apart from planning, so that neither a slow disk nor a
full one holds a pass up. Read by people, and by the admin endpoint for the last pass. A record holds names and prices of
all parties: files are the operator's own, mode 0600.
"""

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from sublet.api.times import Millis
from sublet.book.decisions import Plan
from sublet.book.view import View
from sublet.record.passes import Recorded, lines_of, write_pass

_PREFIX: Final = "pass-"
_SUFFIX: Final = ".json"
_UNFINISHED: Final = ".pass-"


class Recorder:
    """Remembers the last pass that decided something, and writes such passes to files."""

    def __init__(self, directory: Path, keep: int) -> None:
        """Keep so many files in the directory; 0 writes none."""
        self._directory = directory
        self._keep = keep
        # what would be removed again at once is never written
        self._waiting: deque[tuple[str, View, Plan]] = deque(maxlen=keep)
        self._last: tuple[View, Plan] | None = None
        self._count = 0
        self._task: asyncio.Task[None] | None = None
        self._fault = ""
        self._is_swept = False

    def __call__(self, view: View, made: Plan) -> None:
        """Take note of a pass; one that decides nothing, or again what the last one did, gets no file."""
        before = self._last
        if not made.decisions:
            return
        self._last = (view, made)
        if not self._keep or (before is not None and before[1].decisions == made.decisions):
            return
        self._count += 1
        self._waiting.append((_file_name(view.now_ms, self._count), view, made))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all(), name="recorder")

    async def last(self) -> str | None:
        """Return the last pass that decided something as text, None if there was none."""
        return await asyncio.to_thread(_text, *self._last) if self._last is not None else None

    async def close(self) -> None:
        """Write what waits."""
        if self._task is not None:
            await self._task

    async def _write_all(self) -> None:
        while self._waiting:
            name, view, made = self._waiting.popleft()
            try:
                await asyncio.to_thread(self._write, name, view, made)
            except Exception as error:  # noqa: BLE001  no fault of a record may reach the operator
                self._say(f"{type(error).__name__}: {error}")
            else:
                self._say("")

    def _write(self, name: str, view: View, made: Plan) -> None:
        text = _text(view, made)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._is_swept:  # whoever wrote before this process may have been killed
            remove(self._directory.glob(f"{_UNFINISHED}*"))
            self._is_swept = True
        write_file(self._directory / name, text)
        remove(sorted(self._directory.glob(f"{_PREFIX}*{_SUFFIX}"))[: -self._keep])

    def _say(self, fault: str) -> None:
        """Log a fault when it begins and when it is over, not at each try."""
        log = structlog.get_logger()
        if fault and not self._fault:
            log.warning("passes aren't recorded", directory=str(self._directory), error=fault)
        if self._fault and not fault:
            log.info("passes are recorded again")
        self._fault = fault


def write_file(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, readable by its owner alone."""
    descriptor, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def remove(paths: Iterable[Path]) -> None:
    """Remove files, those that are gone already too."""
    for path in paths:
        path.unlink(missing_ok=True)


def _text(view: View, made: Plan) -> str:
    return write_pass(Recorded(view, lines_of(made))) + "\n"


def _file_name(at_ms: Millis, count: int) -> str:
    """Return a name that sorts by time; `kubectl cp` takes no colons."""
    instant = datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y%m%dT%H%M%S")
    return f"{_PREFIX}{instant}.{at_ms % 1_000:03d}Z-{count}{_SUFFIX}"
