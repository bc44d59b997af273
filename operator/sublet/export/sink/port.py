"""What an export asks of the place that files go to."""

from pathlib import Path
from typing import Protocol


class SinkFailed(Exception):
    """A file couldn't be kept; what stood there before still does. The text says where, why and what to do."""


class Sink(Protocol):
    """Keeps files whole."""

    def draft(self) -> Path:
        """Return a new empty local file to write to; SinkFailed if there is no room for one."""

    def keep(self, draft: Path, name: str) -> None:
        """Let a finished draft stand under a name, in the place of what stood there; SinkFailed, and nothing has changed."""

    def drop(self, draft: Path) -> None:
        """Forget a draft, if it is still there."""

    def read(self, name: str) -> bytes | None:
        """Return a small file, None if there is none; SinkFailed if that can't be told."""

    def remove(self, name: str) -> None:
        """Take a file away that nobody names any more; SinkFailed if it is still there."""
