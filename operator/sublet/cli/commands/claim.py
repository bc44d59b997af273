"""`sublet claim`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands import asking
from sublet.cli.commands.options import Context, FormatOption, Namespace


def claim(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the GpuClaim is to be called.")],
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
    tag: asking.Tag = None,
    replacement: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Never, or OnFailure: a node that fails is replaced."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Let the hub judge it, and write nothing.")
    ] = False,
    wait: Annotated[
        int, typer.Option(metavar="SECONDS", min=0, help="Until it is bound, at most so long.")
    ] = 0,
    namespace: Namespace = None,
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Ask for GPUs: make a GpuClaim.

    The hub judges it as it judges `kubectl apply`, and its words are printed. With --wait it says when the GPUs are
    bound, and else why they aren't, with exit status 1; the claim stays and goes on waiting.

    \b
    Example:
      sublet claim train --class h100 --gpus 16 --for 4h --wait 60
    """  # noqa: D301  \b is for the help's layout
    from sublet.cli import claim as claiming
    from sublet.cli.asking import Wish

    wish = Wish(
        class_name, gpus, gpus_per_node, min_gpus, scope, jurisdiction or (), region or (),
        start, duration, priority_class, max_price, tag or (), replacement,
    )  # fmt: skip
    claiming.command(name, wish, (namespace, context), wait, output, dry_run=dry_run)
