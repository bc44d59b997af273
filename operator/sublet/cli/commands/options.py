"""Options and arguments that several commands have, so that they are called and explained the same everywhere."""

from typing import Annotated

import typer

from sublet.cli.choices import Format

Context = Annotated[
    str | None,
    typer.Option("--context", metavar="CONTEXT", help="The hub, if not your current context."),
]
Claim = Annotated[str, typer.Argument(metavar="CLAIM", help="Name of the GpuClaim.")]
Namespace = Annotated[
    str | None,
    typer.Option(
        "-n", "--namespace", metavar="NAME", help="The claim's namespace, if not your context's."
    ),
]
OperatorNamespace = Annotated[
    str,
    typer.Option(
        "--operator-namespace", "--namespace", metavar="NAME", help="Where the operator runs."
    ),
]
Admin = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="URL",
        help="The operator's admin endpoint, if no port-forward is wanted.",
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="SUBLET_DATABASE_URL",
        help="The ledger's database: sqlite:///FILE or postgresql://…",
    ),
]
LedgerAdmin = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="URL",
        help="Read at the operator's admin endpoint; by a port-forward without both.",
    ),
]
"""Of commands that can read the database instead."""

Redact = Annotated[
    bool,
    typer.Option("--redact", help="Print the record with placeholders for names and prices."),
]
PriceRatios = Annotated[
    bool,
    typer.Option(
        "--price-ratios",
        help="With --redact: keep the prices' ratios, not only their order. Who knows one price knows all.",
    ),
]
NoLedger = Annotated[
    bool, typer.Option("--without-ledger", help="Don't ask the operator about the ledger.")
]

LeasedContext = Annotated[
    str,
    typer.Option(
        "--context", metavar="CONTEXT", help="The leased cluster; you must be cluster-admin there."
    ),
]
HubContext = Annotated[
    str | None,
    typer.Option("--hub-context", metavar="CONTEXT", help="The hub, if not your current context."),
]
ClusterName = Annotated[
    str, typer.Option("--name", metavar="NAME", help="The cluster's Secret on the hub.")
]
InCluster = Annotated[
    bool, typer.Option("--in-cluster", help="The hub's own nodes are leased; CONTEXT is the hub.")
]


def _not_csv(form: Format) -> Format:
    if form is Format.CSV:
        raise typer.BadParameter("this is no single table; give table, wide, json or yaml")
    return form


def _forms(incomplete: str) -> list[str]:
    """Return what a shell may complete."""
    return [form for form in Format if form is not Format.CSV and form.startswith(incomplete)]


FormatOption = Annotated[
    Format,
    typer.Option(
        "-o",
        "--output",
        metavar="FORMAT",
        callback=_not_csv,
        autocompletion=_forms,
        help="table, wide (a table that says more), json or yaml.",
    ),
]
RowsFormatOption = Annotated[
    Format,
    typer.Option(
        "-o",
        "--output",
        metavar="FORMAT",
        help="table, wide (a table that says more), json, yaml or csv.",
    ),
]
"""Of a command whose result is one table."""
