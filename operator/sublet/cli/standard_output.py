"""Standard output, whose faults no command takes for those of what it asks or reads."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast


class Unwritten(Exception):
    """What a command says can't be written; the cause says why. No OSError: of a reader that has gone, typer makes status 1."""


@contextmanager
def standard_output() -> Iterator[None]:
    """Let all that is printed raise Unwritten if it can't be written, at the latest when the block ends."""
    out = cast("TextIO", _Output(sys.stdout))
    with redirect_stdout(out):
        try:
            yield
        finally:
            out.flush()


class _Output:
    """A stream that raises Unwritten; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Return what the stream has."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        with _told():
            return self._stream.write(text)

    def flush(self) -> None:
        """Write what waits."""
        with _told():
            self._stream.flush()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritten from error
