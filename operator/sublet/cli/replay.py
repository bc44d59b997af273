"""`sublet replay` and `sublet dump`: a pass's input and decisions, replayed by this program, or redacted.

Works on files alone; only `dump` asks the operator, for the last pass that decided something.
"""

import secrets
from decimal import Decimal
from pathlib import Path
from typing import Final

from sublet import __version__
from sublet.api.wording import how_many
from sublet.cli.admin import fetch, forwarded
from sublet.cli.connect import checked_name, connect, run
from sublet.cli.problems import Problem
from sublet.record.codec import dumps
from sublet.record.passes import Recorded, read_pass, replay, write_pass
from sublet.record.redact import redact as redacted

_PATH: Final = "/admin/v1/pass"
_MILLION: Final = 1_000_000


def command(file: Path, *, check: bool, redact: bool, price_ratios: bool) -> None:
    """Replay a recorded pass, compare it with what was recorded, or print it redacted."""

    async def work() -> None:
        recorded = read_file(file)
        if redact:
            print(redacted_text(recorded, price_ratios=price_ratios))
        elif check:
            check_decisions(recorded)
        else:
            show_decisions(recorded)

    run(work, what=str(file))


def dump(
    context: str | None, admin: str | None, namespace: str, *, redact: bool, price_ratios: bool
) -> None:
    """Print the operator's last pass."""

    async def work() -> None:
        where = checked_name(namespace, what="namespace", label=True)
        text = await ask(context=context, namespace=where, given=admin)
        if redact:
            text = redacted_text(read_pass(text), price_ratios=price_ratios)
        print(text)

    run(work, what="the last pass")


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
        print(f"{how_many(len(now), 'line')}, as they were recorded")
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
    return write_pass(redacted(recorded, factor if price_ratios else None))
