"""Keeps passes that decided something, so that `sublet replay` can show what the book was given.

Told by the loop after each pass; written by one task in a thread, apart from planning, so that neither a slow disk nor a
full one holds a pass up. Read by people, and by the admin endpoint for the last pass. A record holds names and prices of
all parties: files are the operator's own, mode 0600.

Of a pass that decided only what was new, the record holds what a pass over everything decides: the same of what was new,
and it can be shown from the view alone. That it is the same is looked at here too.
"""

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from sublet.api.times import Millis
from sublet.book.decisions import Plan
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.record.passes import Recorded, lines_of, write_pass

_PREFIX: Final = "pass-"
_SUFFIX: Final = ".json"
_UNFINISHED: Final = ".pass-"


@dataclass(frozen=True, slots=True)
class _Made:
    """A pass, and whether its plan was made of its view alone."""

    view: View
    plan: Plan
    is_full: bool


class Recorder:
    """Remembers the last pass that decided something, and writes such passes to files."""

    def __init__(self, directory: Path, keep: int) -> None:
        """Keep so many files in the directory; 0 writes none."""
        self._directory = directory
        self._keep = keep
        # what would be removed again at once is never written
        self._waiting: deque[tuple[str, _Made]] = deque(maxlen=keep)
        self._last: _Made | None = None
        self._count = 0
        self._task: asyncio.Task[None] | None = None
        self._fault = ""
        self._is_swept = False

    def __call__(self, view: View, made: Plan, *, is_full: bool = True) -> None:
        """Take note of a pass; one that decides nothing, or again what the last one did, gets no file."""
        before = self._last
        if not made.decisions:
            return
        self._last = _Made(view, made, is_full)
        if not self._keep or (before is not None and before.plan.decisions == made.decisions):
            return
        self._count += 1
        self._waiting.append((_file_name(view.now_ms, self._count), self._last))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all(), name="recorder")

    async def last(self) -> str | None:
        """Return the last pass that decided something as text, None if there was none."""
        return await asyncio.to_thread(_text, self._last) if self._last is not None else None

    async def close(self) -> None:
        """Write what waits."""
        if self._task is not None:
            await self._task

    async def _write_all(self) -> None:
        while self._waiting:
            name, made = self._waiting.popleft()
            try:
                await asyncio.to_thread(self._write, name, made)
            except Exception as error:  # noqa: BLE001  no fault of a record may reach the operator
                self._say(f"{type(error).__name__}: {error}")
            else:
                self._say("")

    def _write(self, name: str, made: _Made) -> None:
        text = _text(made)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._is_swept:  # whoever wrote before this process may have been killed
            remove(self._directory.glob(f"{_UNFINISHED}*"))
            self._is_swept = True
        write_file(self._directory / name, text)
        there = self._directory.glob(f"{_PREFIX}*{_SUFFIX}")
        # a file that is later than this one is older: the clock was ahead when it was written
        in_order = sorted(there, key=lambda file: (file.name <= name, file.name))
        remove(in_order[: -self._keep])

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


def _text(made: _Made) -> str:
    whole = made.plan if made.is_full else plan(made.view)
    if other := set(made.plan.decisions) - set(whole.decisions):
        uids = sorted({decision.claim_uid for decision in other})
        structlog.get_logger().error("new claims were decided otherwise than anew", claim_uids=uids)
    return write_pass(Recorded(made.view, lines_of(whole))) + "\n"


def _file_name(at_ms: Millis, count: int) -> str:
    """Return a name that sorts by time; `kubectl cp` takes no colons."""
    instant = datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y%m%dT%H%M%S")
    return f"{_PREFIX}{instant}.{at_ms % 1_000:03d}Z-{count}{_SUFFIX}"
