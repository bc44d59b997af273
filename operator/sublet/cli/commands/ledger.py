"""`sublet ledger` and the commands in it: options and words."""

from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.lazy import PLAIN, LightGroup
from sublet.cli.commands.options import (
    Context,
    Database,
    FormatOption,
    LedgerAdmin,
    OperatorNamespace,
    RowsFormatOption,
)

ledger = typer.Typer(
    name="ledger",
    help="The ledger: prove it, look at it, back it up, restore it, and read its audit trail.",
    cls=LightGroup,
    **PLAIN,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


@ledger.command()
def verify(
    database: Database = None,
    admin: LedgerAdmin = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="LINE:HASH",
            help="A head that was published (`sublet ledger head`, a statement, a manifest): it must be in the ledger.",
        ),
    ] = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: FormatOption = Format.TABLE,
) -> None:
    """Prove that no line is missing, changed or put in, that intervals are whole and every text is there.

    Exit status: 0 the ledger is whole, 1 it isn't, 2 it couldn't be read.
    """
    from sublet.cli import ledger as reading
    from sublet.cli.ledger_source import Place

    reading.verify(Place(database, admin, context, operator_namespace), head, output)


@ledger.command()
def head(
    database: Database = None,
    admin: LedgerAdmin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: FormatOption = Format.TABLE,
) -> None:
    """Print the last line's number and hash, as LINE:HASH. Whoever keeps it can prove all up to there."""
    from sublet.cli import ledger as reading
    from sublet.cli.ledger_source import Place

    reading.head(Place(database, admin, context, operator_namespace), output)


@ledger.command()
def show(
    first: Annotated[
        int | None,
        typer.Option(
            "--from", metavar="LINE", min=1, help="The first line; the last ones without."
        ),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many.")] = 20,
    database: Database = None,
    admin: LedgerAdmin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show lines of the ledger as they stand there."""
    from sublet.cli import ledger as reading
    from sublet.cli.ledger_source import Place

    place = Place(database, admin, context, operator_namespace)
    reading.show(place, first, count, output)


@ledger.command()
def audit(
    claim: Annotated[
        str | None,
        typer.Option(metavar="NAMESPACE/NAME|UID", help="Of this claim (or any object, by UID)."),
    ] = None,
    lease: Annotated[
        str | None, typer.Option(metavar="ALIAS|UID", help="That concern this lease.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="From then on: 2026-11-22T10:00:00Z.")
    ] = None,
    database: Database = None,
    admin: LedgerAdmin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show who said or decided what, of which object, from what to what, and why."""
    from sublet.cli import ledger as reading
    from sublet.cli.ledger_source import Place

    place = Place(database, admin, context, operator_namespace)
    reading.audit(place, claim, lease, since, output)


@ledger.command()
def backup(file: File, database: Database = None) -> None:
    """Write the whole ledger into one file that proves itself. The operator may run meanwhile.

    Prices of all parties are in it. The same ledger gives the same bytes.
    """
    from sublet.cli import ledger as reading

    reading.backup(file, database)


@ledger.command()
def restore(file: File, database: Database = None) -> None:
    """Bring a backup into an empty database, or add what is new in it to the same ledger. Stop the operator before.

    The file is proven first, the ledger afterwards. A ledger that isn't a beginning of the backup is never changed.
    """
    from sublet.cli import ledger as reading

    reading.restore(file, database)


# an amount may begin with `-`
@ledger.command(context_settings={"ignore_unknown_options": True})
def adjust(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Name or UID of the GpuTenant.")],
    amount: Annotated[
        str,
        typer.Argument(metavar="AMOUNT", help="Charged, as 12.50; credited below 0, as -12.50."),
    ],
    currency: Annotated[str, typer.Argument(metavar="CURRENCY", help="Its three letters.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; the tenant reads it.")],
    claim: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="The claim that it is about.")
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM",
            help="The billing period that it is about; the present one if left out. If it is closed, it is billed in the next open one.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What was said with the same key is said once; without, the same words of the same period are.",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who says so, if not your user name here.")
    ] = None,
    database: Database = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Charge or credit a tenant an amount, with a reason. A line of the ledger is never taken back: credit what was charged.

    Needs the database; the operator may run meanwhile. Said again, it is said once.
    """
    from sublet.cli import adjust as adjusting

    word = adjusting.Word(tenant, amount, currency, reason, claim, period, key, by)
    adjusting.command(word, database, output)
