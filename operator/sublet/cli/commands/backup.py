"""`sublet backup`: options and words."""

from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.commands.options import Admin, Context, NoLedger, OperatorNamespace


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    context: Context = None,
    namespace: OperatorNamespace = "sublet-system",
    admin: Admin = None,
    without_ledger: NoLedger = False,
    with_credentials: Annotated[
        bool,
        typer.Option(
            "--with-credentials",
            help="The leased clusters' credentials too. Whoever has the file then has the clusters.",
        ),
    ] = False,
) -> None:
    """Write Sublet's objects on the hub, with their status, into a file.

    Names and prices of all parties are in it, and no Secret: tenants' kubeconfigs are made anew. The ledger is in its
    database and is backed up there; the file says how far it was.
    """
    from sublet.cli.keeping import commands

    place = commands.Place(context, namespace, admin, without_ledger=without_ledger)
    commands.backup(file, place, with_credentials=with_credentials)
