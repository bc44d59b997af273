"""`sublet replay` and `sublet dump`: a pass's input and decisions, replayed by this program, or redacted.

Works on files alone; only `dump` asks the operator, for the last pass that decided something.
"""

import secrets
from decimal import Decimal
from pathlib import Path
from typing import Final

from sublet import __version__
from sublet.cli.admin import fetch, forwarded
from sublet.cli.connect import connect
from sublet.cli.problems import Problem
from sublet.record.codec import dumps
from sublet.record.passes import Recorded, read_pass, replay, write_pass
from sublet.record.redact import redact

_PATH: Final = "/admin/v1/pass"
_MILLION: Final = 1_000_000


def read_file(path: Path) -> Recorded:
    """Return a recorded pass; ValueError or OSError says what is wrong with the file."""
    return read_pass(path.read_text(encoding="utf-8"))


async def ask(*, context: str | None, namespace: str, given: str | None) -> str:
    """Return the operator's last pass as text: through a port-forward, or from a URL that was given."""
    if given:
        return dumps(await fetch(given.rstrip("/"), _PATH, {}))
    async with connect(context) as hub, forwarded(hub, namespace, context) as base:
        return dumps(await fetch(base, _PATH, {}))


def show_decisions(recorded: Recorded) -> None:
    """Print the decisions that the book makes now, one JSON object per line."""
    for line in replay(recorded):
        print(line)


def check_decisions(recorded: Recorded) -> None:
    """Say that the decisions are the recorded ones, or show the first that isn't; then Problem."""
    now, then = replay(recorded), recorded.lines
    if now == then:
        print(f"{len(now)} lines, as they were recorded")
        return
    pairs = zip(now, then, strict=False)
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(now), len(then)))
    for sign, lines in (("-", then), ("+", now)):
        if first < len(lines):
            print(f"{sign} {lines[first]}")
    versions = f"recorded by version {recorded.program}, replayed by {__version__}"
    raise Problem(f"line {first + 1} isn't as it was recorded; {versions}")


def redacted_text(recorded: Recorded, *, price_ratios: bool) -> str:
    """Return the record under other names, with ranks for prices or, if asked for, in their ratios."""
    factor = Decimal(_MILLION + secrets.randbelow(9 * _MILLION)) / _MILLION
    return write_pass(redact(recorded, factor if price_ratios else None))
