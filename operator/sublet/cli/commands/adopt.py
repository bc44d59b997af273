"""`sublet adopt`: options and words."""

from typing import Annotated

import typer

from sublet.cli.commands.options import Admin, Context, OperatorNamespace


def adopt(
    show_map: Annotated[
        bool, typer.Option("--map", help="Show old and new UID of all that was restored.")
    ] = False,
    yes: Annotated[
        str | None,
        typer.Option(
            "--yes", metavar="DIGEST", help="Agree to the map that was shown with this digest."
        ),
    ] = None,
    context: Context = None,
    namespace: OperatorNamespace = "sublet-system",
    admin: Admin = None,
) -> None:
    """Say that restored objects are the ones they were before.

    Compares them with what the leased clusters' nodes and the ledger say, shows the map with --map, and adopts with --yes and the
    digest of the map that you saw. Until then nothing is planned, sold or taken back.
    """
    from sublet.cli.keeping import commands

    commands.adopt(commands.Place(context, namespace, admin), yes, show_map=show_map)
