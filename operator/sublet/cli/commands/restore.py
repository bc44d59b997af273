"""`sublet restore`: options and words."""

from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.commands.options import Admin, Context, NoLedger, OperatorNamespace


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `sublet backup` wrote.")],
    context: Context = None,
    namespace: OperatorNamespace = "sublet-system",
    admin: Admin = None,
    without_ledger: NoLedger = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done and change nothing.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="Bring objects to the backup that are there in an older state, or with another spec.",
        ),
    ] = False,
) -> None:
    """Make a backup's objects again on the hub, held until `sublet adopt`.

    What is there in a newer state, or is another object of that name, always stays. It may be run again after a break.
    """
    from sublet.cli.keeping import commands

    place = commands.Place(context, namespace, admin, without_ledger=without_ledger)
    commands.restore(file, place, dry_run=dry_run, agreed=yes)
