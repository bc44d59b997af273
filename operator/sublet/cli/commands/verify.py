"""`sublet verify`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.options import Context, FormatOption, OperatorNamespace


def verify(
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="SUBLET_DATABASE_URL",
            help="The ledger's database, opened for reading; or --admin. Without either the ledger isn't checked.",
        ),
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The operator's admin endpoint, to read the ledger there."
        ),
    ] = None,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEASE=CONTEXT",
            help="Read this lease's cluster with your own context: it shows more than the operator may read. Repeatable.",
        ),
    ] = None,
    patience_seconds: Annotated[
        float,
        typer.Option(
            "--patience", metavar="SECONDS", min=0, help="What is on its way may take so long."
        ),
    ] = 10.0,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: FormatOption = Format.TABLE,
) -> None:
    """Check that nothing is sold twice, lost, orphaned or billed wrong; changes nothing.

    Reads the hub with your rights (GpuClaims, GpuLeases, Secrets, Events), leased clusters with the leases' credentials,
    and the ledger. Exit status: 0 all is well, 1 something is wrong, 2 something couldn't be read.
    """
    from sublet.cli import verify as verifying

    verifying.command(
        verifying.Ways(database, admin, cluster or (), context, operator_namespace),
        patience_seconds,
        output,
    )
