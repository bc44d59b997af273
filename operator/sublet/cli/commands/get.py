"""`sublet get`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.options import Context, RowsFormatOption

_KINDS = ("claims", "classes", "leases", "statements", "tenants")


def _kinds(incomplete: str) -> list[str]:
    """Return what a shell may complete."""
    return [kind for kind in _KINDS if kind.startswith(incomplete)]


def get(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            autocompletion=_kinds,
            help=f"One of {', '.join(_KINDS)}; GpuClaim, gclaim … too.",
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One object; all if left out.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "-n", "--namespace", metavar="NAME", help="The namespace, if not your context's."
        ),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("-A", "--all-namespaces", help="In all namespaces.")
    ] = False,
    context: Context = None,
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show claims, classes, leases, statements or tenants, in the columns of the API."""
    from sublet.cli import get as getting

    getting.command(kind, name, namespace, context, output, all_namespaces=all_namespaces)
