"""The program's commands and what they share. Each command: read, then show; its logic is in a module of its own."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sublet import __version__
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import CLAIMS, LEASES, Kind
from sublet.api.schema import ApiModel
from sublet.cli import (
    explain as explaining,
    kubeconfig as access,
    onboarding,
    top as overview,
    usage as metered,
)
from sublet.cli.admin import admin_url, fetch
from sublet.cli.output import Format, FormatOption, show_data
from sublet.cli.problems import Problem, describe, fail
from sublet.clock import SystemClock
from sublet.kube.errors import KubeError
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer

T = TypeVar("T")
M = TypeVar("M", bound=ApiModel)

app = typer.Typer(
    name="sublet",
    help="Subleased GPU pools: see, claim and bill GPUs over many leased clusters.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
onboarding.register(app)

Context = Annotated[str | None, typer.Option("--context", help="Context of your kubeconfig.")]
Namespace = Annotated[str, typer.Option("-n", "--namespace", help="The claim's namespace.")]
AdminUrl = Annotated[
    str | None,
    typer.Option(help="The operator's admin endpoint; without it a port-forward is made."),
]
OperatorNamespace = Annotated[str, typer.Option(help="Where the operator runs.")]


@app.command()
def version() -> None:
    """Print the program's version."""
    print(__version__)


@app.command()
def explain(
    claim: Annotated[str, typer.Argument(help="Name of the claim.")],
    namespace: Namespace = "default",
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Say what a claim asked for, what it got, and why it waits."""

    async def run(hub: ApiServer) -> None:
        raw = await hub.get(CLAIMS.path(namespace, claim))
        if not show_data(explaining.as_data(raw), output):
            explaining.explain(GpuClaim.model_validate(raw), SystemClock().now_ms())

    with_hub(run, context, what=f"claim {namespace}/{claim}")


@app.command()
def kubeconfig(
    claim: Annotated[str, typer.Argument(help="Name of the claim.")],
    namespace: Namespace = "default",
    context: Context = None,
    into: Annotated[
        Path | None, typer.Option(help="Merge into this kubeconfig file instead of printing.")
    ] = None,
) -> None:
    """Print a bound claim's kubeconfig, or merge it into a file."""

    async def run(hub: ApiServer) -> None:
        found = GpuClaim.model_validate(await hub.get(CLAIMS.path(namespace, claim)))
        config = await access.read_access(hub, found)
        if into is None:
            print(access.to_text(config), end="")
            return
        access.merge_into_file(into, config)
        names = ", ".join(entry["name"] for entry in config["contexts"])
        print(f"merged into {into}; contexts: {names}")

    with_hub(run, context, what=f"claim {namespace}/{claim}")


@app.command()
def top(context: Context = None, output: FormatOption = Format.TABLE) -> None:
    """Show all leases and claims with their counts and states."""

    async def run(hub: ApiServer) -> None:
        leases = await _list(hub, LEASES, GpuLease)
        claims = await _list(hub, CLAIMS, GpuClaim)
        if not show_data(overview.as_data(leases, claims), output):
            overview.show_leases(leases)
            print()
            overview.show_claims(claims)

    with_hub(run, context, what="the pool")


@app.command()
def usage(
    by: Annotated[str, typer.Option(help="claim, tenant or lease.")] = "claim",
    start: Annotated[str | None, typer.Option("--from", help="First instant (RFC 3339).")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First instant after (RFC 3339).")] = None,
    context: Context = None,
    admin: AdminUrl = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: FormatOption = Format.TABLE,
) -> None:
    """Show metered GPU time and its price over a window, exact to the millisecond."""
    if by not in ("claim", "tenant", "lease"):
        fail(f"--by {by}: give claim, tenant or lease")

    async def run(hub: ApiServer) -> None:
        from_ms, to_ms = metered.parse_window(start, end, SystemClock().now_ms())
        async with admin_url(
            hub, namespace=operator_namespace, context=context, given=admin
        ) as base:
            answer = await fetch(base, "/admin/v1/usage", metered.window_params(from_ms, to_ms, by))
        if not show_data(answer, output):
            metered.show_usage(answer)

    with_hub(run, context, what="usage")


def with_hub(
    run: Callable[[ApiServer], Awaitable[None]], context: str | None, *, what: str
) -> None:
    """Run a command against the hub of the user's kubeconfig; each failure becomes one line."""

    async def session() -> None:
        async with ApiServer(await hub_endpoint(context=context)) as hub:
            await run(hub)

    try:
        asyncio.run(session())
    except Problem as problem:
        fail(str(problem))
    except (KubeError, OSError, ValueError) as error:
        fail(describe(error, what=what))


async def _list(hub: ApiServer, kind: Kind, model: type[M]) -> list[M]:
    """Read all objects of a kind, sorted by key."""
    answer: dict[str, Any] = await hub.get(kind.path())
    return sorted(
        (model.model_validate(item) for item in answer["items"]),
        key=lambda each: str(each.metadata.key),  # type: ignore[attr-defined]  # each kind has it
    )


def main() -> None:
    """Run the command line; also the entry point `kubectl-sublet`."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
