"""`sublet quote`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands import asking
from sublet.cli.commands.options import Context, FormatOption, Namespace


def quote(
    class_name: asking.Class,
    gpus: asking.Gpus,
    gpus_per_node: asking.GpusPerNode = None,
    min_gpus: asking.MinGpus = None,
    scope: asking.Scope = None,
    jurisdiction: asking.Jurisdiction = None,
    region: asking.Region = None,
    start: asking.Start = None,
    duration: asking.Duration = None,
    priority_class: asking.PriorityClass = None,
    max_price: asking.MaxPrice = None,
    wait: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, help="For the answer, at most so long.")
    ] = 30,
    namespace: Namespace = None,
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Ask what GPUs would be had when, where and for how much. Nothing is held.

    Makes a GpuClaim that is suspended, shows what the operator answers, and deletes it. IN-ALL is the price of the whole
    time where it has an end, before the class's rounding and minimums.

    \b
    Example:
      sublet quote --class h100 --gpus 64 --for 7d
    """  # noqa: D301  \b is for the help's layout
    from sublet.cli import quote as quoting
    from sublet.cli.asking import Wish

    wish = Wish(
        class_name, gpus, gpus_per_node, min_gpus, scope, jurisdiction or (), region or (),
        start, duration, priority_class, max_price,
    )  # fmt: skip
    quoting.command(wish, namespace, context, wait, output)
