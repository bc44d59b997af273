"""Waiting for something to become true, with a deadline. Never a bare sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float = 60.0) -> T:
    """Return the first truthy thing that `look` gives; AssertionError with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} (last: {found!r})")
        time.sleep(0.1)


def stays(what: str, look: Callable[[], object], *, seconds: float) -> None:
    """Fail if `look` gives something falsy at any time within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert look(), f"didn't stay: {what}"
        time.sleep(0.1)
