"""How a story is told on a terminal: one step after the other, what came of each, and how long it took."""

import time
from typing import Self


class Step:
    """One step: its title, what came of it, and how long it took."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        print(f"\n== {self._title}", flush=True)
        return self

    def say(self, text: str) -> None:
        """Print what came of it."""
        print("\n".join(f"   {line}" for line in text.splitlines()), flush=True)

    def __exit__(self, kind: object, *_: object) -> None:
        took = time.monotonic() - self._begun
        print(f"   {'ok' if kind is None else 'FAILED'} ({took:.1f} s)", flush=True)
