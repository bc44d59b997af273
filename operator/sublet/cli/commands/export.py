"""`sublet export`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import FileFormat, FocusVersion, Format, GridOption, Side
from sublet.cli.commands.lazy import PLAIN, LightGroup
from sublet.cli.commands.options import (
    Context,
    Database,
    LedgerAdmin,
    OperatorNamespace,
    RowsFormatOption,
)

export = typer.Typer(name="export", cls=LightGroup, **PLAIN)


@export.callback()
def _group() -> None:
    """Files for finance, out of the ledger."""


@export.command()
def focus(
    target: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="DIR|s3://BUCKET/PREFIX",
            help="Where files go.",
            envvar="SUBLET_EXPORT_TARGET",
        ),
    ],
    month: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="The billing period; this month if left out."),
    ] = None,
    side: Annotated[Side, typer.Option(help="Whose files.")] = Side.BOTH,
    tenant: Annotated[
        list[str] | None,
        typer.Option(metavar="TENANT", help="Of this tenant alone, by name or UID. Repeatable."),
    ] = None,
    version: Annotated[FocusVersion, typer.Option(help="Of FOCUS.")] = FocusVersion.V1_4,
    format_: Annotated[
        list[FileFormat] | None,
        typer.Option("--format", help="Of files; Parquet if left out. Repeatable."),
    ] = None,
    grid: Annotated[GridOption, typer.Option(help="How fine rows are cut.")] = GridOption.HOUR,
    seller: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Who sells to tenants; stands on their rows.",
            envvar="SUBLET_EXPORT_SELLER",
        ),
    ] = "",
    shows_host: Annotated[
        bool,
        typer.Option(
            "--shows-host",
            help="Tenants' files name whose hardware it is.",
            envvar="SUBLET_EXPORT_SHOWS_HOST",
        ),
    ] = False,
    endpoint: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The S3 server, if not AWS.", envvar="SUBLET_EXPORT_ENDPOINT"
        ),
    ] = "",
    region: Annotated[
        str, typer.Option(metavar="NAME", help="Of the bucket.", envvar="SUBLET_EXPORT_REGION")
    ] = "",
    database: Database = None,
    admin: LedgerAdmin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Write a month's files in FOCUS, the format for cost and usage: tenants' files, and wholesale files of landlords.

    A tenant's folder can be handed to that tenant; the wholesale folder is for the platform team alone. Exit status 1
    if anything could not be made; what stood there before still does.
    """  # fmt: skip
    from sublet.cli import export as exporting
    from sublet.cli.ledger_source import Place

    formats = tuple(dict.fromkeys(format_ or [FileFormat.PARQUET]))
    wish = exporting.Wish(
        month, side, tuple(tenant or ()), target, endpoint, region, seller, shows_host, version, formats, grid
    )  # fmt: skip
    exporting.command(wish, Place(database, admin, context, operator_namespace), output)
