"""Waiting for the operator to say something of a claim, with the state so far on standard error.

A spinner on a terminal; elsewhere a line for each new state, so that a log of a pipeline stays short.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.text import Text

from sublet.api.common import find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import CLAIMS
from sublet.cli.connect import Cluster
from sublet.cli.lines import one_line
from sublet.cli.top import state_of
from sublet.kube.errors import NotFound, Unreachable

_EVERY_SECONDS: Final = 0.5

Say = Callable[[str], None]


async def follow(
    hub: Cluster, claim: GpuClaim, is_done: Callable[[GpuClaim], bool], seconds: float
) -> tuple[GpuClaim | None, bool]:
    """Look at a claim until it is as wanted, gone, or the time is over; return it as last seen (None: gone), and whether it is."""
    meta, deadline = claim.metadata, time.monotonic() + seconds
    with progress() as say:
        while True:
            try:
                raw = await hub.get(CLAIMS.path(meta.namespace, meta.name))
            except NotFound:
                return None, False
            except Unreachable:
                # whoever waits for an hour needn't begin again for a moment's silence
                if time.monotonic() >= deadline:
                    raise
                say(f"{meta.key}: the hub doesn't answer")
                await asyncio.sleep(_EVERY_SECONDS)
                continue
            seen = GpuClaim.model_validate(raw)
            if seen.metadata.uid != meta.uid:
                return None, False
            if is_done(seen):
                return seen, True
            if time.monotonic() >= deadline:
                return seen, False
            say(f"{meta.key}: {state_words(seen)}")
            await asyncio.sleep(min(_EVERY_SECONDS, seconds))


def state_words(claim: GpuClaim) -> str:
    """Return the state of a claim with the reason that the operator gives."""
    if claim.status.pending is not None:
        return claim.status.pending.message
    ready = find_condition(claim.status.conditions, "Ready")
    return (ready.message if ready is not None else "") or state_of(claim.status.conditions)


def is_seen(claim: GpuClaim) -> bool:
    """Say whether the operator has taken note of the claim's spec as it is now."""
    return claim.status.observed_generation >= max(1, claim.metadata.generation)


@contextmanager
def progress() -> Iterator[Say]:
    """Yield what shows the state so far; the same words are said once."""
    screen = Console(stderr=True, highlight=False)
    if screen.is_terminal:
        with screen.status("waiting") as status:
            yield lambda text: status.update(
                Text(one_line(text))
            )  # not as markup: names have brackets
        return
    said: list[str] = []

    def say(text: str) -> None:
        text = one_line(text)
        if text not in said[-1:]:
            print(f"  {text}", file=sys.stderr, flush=True)
            said.append(text)

    yield say
