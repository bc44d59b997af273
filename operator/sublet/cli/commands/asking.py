"""The options by which `sublet claim` and `sublet quote` say what is asked for. The hub judges what they are worth."""

from typing import Annotated

import typer

Class = Annotated[str, typer.Option("--class", metavar="CLASS", help="Name of the GpuClass.")]
Gpus = Annotated[int, typer.Option("--gpus", metavar="N", help="How many GPUs in all.")]
GpusPerNode = Annotated[
    int | None, typer.Option("--gpus-per-node", metavar="N", help="Exactly so many of each node.")
]
MinGpus = Annotated[
    int | None, typer.Option("--min-gpus", metavar="N", help="Take fewer, but no fewer than this.")
]
Scope = Annotated[
    str | None,
    typer.Option("--scope", metavar="SCOPE", help="Node, NVLinkDomain, Cluster or Any."),
]
Jurisdiction = Annotated[
    list[str] | None,
    typer.Option("--jurisdiction", metavar="WORD", help="Only there, such as EU. Repeatable."),
]
Region = Annotated[
    list[str] | None, typer.Option("--region", metavar="WORD", help="Only there. Repeatable.")
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start", metavar="INSTANT", help="From when: 2026-11-22T10:00:00Z; now without."
    ),
]
Duration = Annotated[
    str | None,
    typer.Option(
        "--for", metavar="DURATION", help="For how long: 90m, 4h, 7d; without end without."
    ),
]
PriorityClass = Annotated[
    str | None,
    typer.Option("--priority-class", metavar="NAME", help="One that the tenant may use."),
]
MaxPrice = Annotated[
    str | None,
    typer.Option("--max-price", metavar="AMOUNT", help="Refuse dearer: per GPU-hour, as 2.35."),
]
Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME=VALUE", help="Stands on the bill. Repeatable."),
]
