"""The same picture again and again: in place on a terminal, one after the other elsewhere. Ctrl-C ends it."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from rich.console import Console

from sublet.api.times import Millis, format_instant
from sublet.cli.problems import describe
from sublet.clock import SystemClock
from sublet.kube.errors import KubeError

_CLEAR: Final = "\x1b[H\x1b[J"
"""To the corner, and nothing below it."""

Picture = Callable[[], None]
"""Prints what was read."""


async def watch(
    look: Callable[[], Awaitable[Picture]], every_seconds: float, *, what: str
) -> NoReturn:
    """Look and print until somebody ends it. A hub that stops answering is said above what was seen last, and asked again."""
    last = await look()
    trouble = ""
    while True:
        now_ms = Millis(SystemClock().now_ms() // 1_000 * 1_000)
        in_place = sys.stdout.isatty() and not Console().is_dumb_terminal
        clear = _CLEAR if in_place else ""
        print(f"{clear}{format_instant(now_ms)}, every {every_seconds:g} s; Ctrl-C ends it")
        print(f"{trouble}\n" if trouble else "")
        last()
        print(flush=True)
        await asyncio.sleep(every_seconds)
        try:
            last, trouble = await look(), ""
        except KubeError as error:
            trouble = describe(error, what=what)
