"""Which operators of a world run: none that nobody wants any more."""

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.faults import operators
from tests.faults.operators import Operators
from tests.harness.stack import Stack


class Slow:
    """An operator whose second start takes until it is let go on."""

    def __init__(self) -> None:
        self.starts, self.ended = 0, False
        self.begun, self.goes_on = threading.Event(), threading.Event()

    @property
    def pid(self) -> int:
        return self.starts

    def start(self) -> None:
        self.starts += 1
        if self.starts > 1:
            self.begun.set()
            self.goes_on.wait(10)
        self.ended = False

    def kill(self) -> None:
        self.ended = True


async def test_one_that_is_started_again_while_it_is_taken_away_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made: list[Slow] = []
    monkeypatch.setattr(operators, "OperatorProcess", lambda *_, **__: made.pop(0))
    first, second = made[:] = Slow(), Slow()
    those = Operators(cast("Stack", SimpleNamespace(folder=tmp_path)))
    await those.open()
    await those.start("second")

    second.ended = True  # as if it was killed
    await asyncio.to_thread(second.begun.wait, 10)
    those.only_first()
    second.goes_on.set()
    await asyncio.sleep(0.2)

    assert (first.ended, second.ended) == (False, True)
    those.close()
