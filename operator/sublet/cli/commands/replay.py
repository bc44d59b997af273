"""`sublet replay`: options and words."""

from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.commands.options import PriceRatios, Redact


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recorded pass.")],
    check: Annotated[
        bool,
        typer.Option("--check", help="Compare with the recorded decisions; exit 1 if they differ."),
    ] = False,
    redact: Redact = False,
    price_ratios: PriceRatios = False,
) -> None:
    """Decide a recorded pass again and print the decisions, one JSON object per line.

    The operator records passes if SUBLET_RECORD_PASSES says how many; `sublet dump` prints the last one. Same program,
    same bytes.
    """
    from sublet.cli import replay as replaying

    replaying.command(file, check=check, redact=redact, price_ratios=price_ratios)
