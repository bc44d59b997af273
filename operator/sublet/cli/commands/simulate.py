"""`sublet simulate`: options and words."""

from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.lazy import PLAIN, LightGroup
from sublet.cli.commands.options import FormatOption
from sublet.simulate.run import StrategyName

simulate = typer.Typer(name="simulate", cls=LightGroup, **PLAIN)


@simulate.callback()
def _group() -> None:
    """Play recorded fleets and workloads against placement strategies."""


@simulate.command()
def openb(
    nodes: Annotated[Path, typer.Argument(metavar="NODES.csv", help="The fleet.")],
    pods: Annotated[Path, typer.Argument(metavar="PODS.csv", help="The workload.")],
    only: Annotated[
        StrategyName | None,
        typer.Option(
            "--strategy",
            metavar="STRATEGY",
            help=f"One of {', '.join(StrategyName)}; all of them if left out.",
        ),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show what share of a fleet's GPUs each strategy allocates, on traces in the format of openb.

    Tasks come in order, each takes what it asks for from one node and keeps it; requests below a whole GPU count as
    one. Tasks go on coming when the fleet is full, until they have asked for at least 130 % of its GPUs. AT-CAPACITY
    is the share that was allocated when they had asked for 100 %.
    """
    from sublet.cli import simulate as playing

    playing.command(nodes, pods, only, output)
