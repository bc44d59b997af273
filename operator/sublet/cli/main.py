"""The program's commands and what they share. Each command: read, then show; its logic is in a module of its own."""

import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from sublet import __version__
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import CLAIMS, CLASSES, LEASES, Kind
from sublet.api.schema import ApiModel
from sublet.cli import (
    adjust as adjusting,
    approve as approving,
    coverage as covered,
    explain as explaining,
    keeping,
    kubeconfig as access,
    margin_command,
    onboarding,
    replay as replaying,
    statement as statements,
    top as overview,
    usage as metered,
    verify as verifying,
)
from sublet.cli.connect import Cluster, checked_name, connect, run
from sublet.cli.contexts import find_context
from sublet.cli.export import exports
from sublet.cli.ledger import ledgers
from sublet.cli.output import Format, FormatOption, RowsFormatOption, show_data
from sublet.cli.problems import Problem, describe, fail
from sublet.cli.simulate import simulations
from sublet.clock import SystemClock
from sublet.kube.errors import KubeError
from sublet.ledger.usage import By
from sublet.record.passes import read_pass

M = TypeVar("M", bound=ApiModel)

_INTERRUPTED: Final = 130
"""What shells expect of a program that Ctrl-C ended."""

app = typer.Typer(
    name="sublet",
    help="Subleased GPU pools: see, claim and bill GPUs over many leased clusters.\n\n"
    "Tenants need explain and kubeconfig; the platform team has the rest. `sublet COMMAND --help` says more. "
    "Also a kubectl plugin: kubectl sublet.",
    rich_markup_mode=None,  # help as kubectl writes it: no frames
    pretty_exceptions_enable=False,
)

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
Admin = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="URL",
        help="The operator's admin endpoint, if no port-forward is wanted.",
    ),
]
OperatorNamespace = Annotated[str, typer.Option(metavar="NAME", help="Where the operator runs.")]


@app.command()
def explain(
    claim: Claim,
    namespace: Namespace = None,
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Say what a claim asked for, what it got, and why it waits."""

    async def work(_: Cluster, raw: dict[str, Any]) -> None:
        if not show_data(explaining.as_data(raw), output):
            shown, now_ms = GpuClaim.model_validate(raw), SystemClock().now_ms()
            explaining.explain(shown, now_ms, wide=output is Format.WIDE)

    _with_claim(work, claim, namespace, context)


@app.command()
def kubeconfig(
    claim: Claim,
    namespace: Namespace = None,
    context: Context = None,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Merge into this kubeconfig instead of printing."),
    ] = None,
) -> None:
    """Print a bound claim's kubeconfig, or merge it into a file.

    Each leased cluster is one context, named by what the platform team calls the cluster. An entry of that name that
    isn't this claim's stays as it is; the claim's then gets a longer name.
    """

    async def work(hub: Cluster, raw: dict[str, Any]) -> None:
        bound = GpuClaim.model_validate(raw)
        config = await access.read_access(hub, bound)
        if into is None:
            print(access.to_text(config), end="")
            return
        names = access.merge_into_file(into.expanduser(), config, bound.metadata)
        print(f"merged into {into}; contexts: {', '.join(names)}")

    _with_claim(work, claim, namespace, context)


@app.command()
def approve(
    claim: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The GpuClaim.")],
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take the approval back; what it has it keeps.")
    ] = False,
    context: Context = None,
) -> None:
    """Approve a claim that its class gives so many GPUs only with somebody's approval.

    You need the right to `approve` gpuclaims (ClusterRole sublet-claims-approve). It counts for this very claim, up to
    the number of GPUs that it asks for now.
    """
    namespace, _, name = claim.rpartition("/")

    async def work(hub: Cluster, raw: dict[str, Any]) -> None:
        print(await (approving.withdraw if withdraw else approving.approve)(hub, raw))

    _with_claim(work, name, namespace or None, context)


@app.command()
def top(context: Context = None, output: FormatOption = Format.TABLE) -> None:
    """Show all leases and claims with their counts and states."""

    async def work() -> None:
        async with connect(context) as hub:
            leases = await _list(hub, LEASES, GpuLease)
            claims = await _list(hub, CLAIMS, GpuClaim)
        if not show_data(overview.as_data(leases, claims), output):
            now_ms, wide = SystemClock().now_ms(), output is Format.WIDE
            overview.show_leases(leases, now_ms, wide=wide)
            print()
            overview.show_claims(claims, wide=wide)

    run(work, what="the pool")


@app.command()
def coverage(
    at: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="When, past or future; now if left out."),
    ] = None,
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show what each lease has committed, used and unsold, and what it earns and costs in an hour.

    Worked out from leases and claims as they are now, for any instant. Instants are written as 2026-11-22T10:00:00Z.
    """

    async def work() -> None:
        now_ms = SystemClock().now_ms()
        at_ms = covered.parse_at(at, now_ms)
        async with connect(context) as hub:
            leases = await _list(hub, LEASES, GpuLease)
            claims = await _list(hub, CLAIMS, GpuClaim)
            classes = await _list(hub, CLASSES, GpuClass)
        found = covered.look(leases, claims, at_ms, now_ms, classes)
        if not show_data(found, output):
            covered.show_coverage(found, wide=output is Format.WIDE)

    run(work, what="the pool")


@app.command()
def usage(
    by: Annotated[By, typer.Option(help="What to add up by.")] = By.CLAIM,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="INSTANT",
            help="From when; the first of this month (UTC) if left out.",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="INSTANT", help="Until when; now if left out.")
    ] = None,
    context: Context = None,
    admin: Admin = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show metered GPU time and what it costs.

    Exact to the millisecond. Asks the operator's admin endpoint through a port-forward: you need the right to
    pods/portforward there. Instants are written as 2026-11-22T10:00:00Z.
    """

    async def work() -> None:
        where = checked_name(operator_namespace, what="namespace", label=True)
        window = metered.parse_window(start, end, SystemClock().now_ms())
        answer = await metered.ask(window, by, context=context, namespace=where, given=admin)
        metered.show_usage(answer, output)

    run(work, what="usage")


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recorded pass.")],
    check: Annotated[
        bool,
        typer.Option("--check", help="Compare with the recorded decisions; exit 1 if they differ."),
    ] = False,
    redact: Redact = False,
    price_ratios: PriceRatios = False,
) -> None:
    """Decide a recorded pass again and print the decisions, one JSON object per line.

    The operator records passes if SUBLET_RECORD_PASSES says how many; `sublet dump` prints the last one. Same program,
    same bytes.
    """

    async def work() -> None:
        recorded = replaying.read_file(file)
        if redact:
            print(replaying.redacted_text(recorded, price_ratios=price_ratios))
        elif check:
            replaying.check_decisions(recorded)
        else:
            replaying.show_decisions(recorded)

    run(work, what=str(file))


@app.command()
def dump(
    redact: Redact = False,
    price_ratios: PriceRatios = False,
    context: Context = None,
    admin: Admin = None,
    operator_namespace: OperatorNamespace = "sublet-system",
) -> None:
    """Print the last pass that decided something, for `sublet replay`.

    Asks the operator's admin endpoint through a port-forward: you need the right to pods/portforward there. It holds
    names and prices of all parties; before handing it on, --redact.
    """

    async def work() -> None:
        where = checked_name(operator_namespace, what="namespace", label=True)
        text = await replaying.ask(context=context, namespace=where, given=admin)
        if redact:
            text = replaying.redacted_text(read_pass(text), price_ratios=price_ratios)
        print(text)

    run(work, what="the last pass")


verifying.register(app)
margin_command.register(app)
statements.register(app)
onboarding.register(app)
keeping.register(app)
app.add_typer(simulations)
adjusting.register(ledgers)
app.add_typer(ledgers)
app.add_typer(exports)


@app.command()
def version() -> None:
    """Print the program's version."""
    print(__version__)


def _with_claim(
    work: Callable[[Cluster, dict[str, Any]], Awaitable[None]],
    name: str,
    namespace: str | None,
    context: str | None,
) -> None:
    """Run a command on one claim, in the namespace that the person means."""

    async def session() -> None:
        found = find_context(context)
        meant = namespace or (found.namespace if found else "default")
        path = CLAIMS.path(
            checked_name(meant, what="namespace", label=True), checked_name(name, what="claim")
        )
        async with connect(context) as hub:
            try:
                raw = await hub.get(path)
            except KubeError as error:
                raise Problem(describe(error, what=f"claim {meant}/{name}")) from error
            await work(hub, raw)

    run(session, what=f"claim {name}")


async def _list(hub: Cluster, kind: Kind, model: type[M]) -> list[M]:
    """Read all objects of a kind, sorted by key."""
    answer: dict[str, Any] = await hub.get(kind.path())
    return sorted(
        (model.model_validate(item) for item in answer["items"]),
        key=lambda each: str(each.metadata.key),  # type: ignore[attr-defined]  # each kind has it
    )


def main() -> None:
    """Run the command line to its end, which is a process's end."""
    logging.getLogger().addHandler(logging.NullHandler())  # libraries' words aren't for the user
    program = Path(sys.argv[0]).name.replace("kubectl-", "kubectl ")
    try:
        try:
            status = app(sys.argv[1:] or ["--help"], prog_name=program, standalone_mode=False)
        finally:
            sys.stdout.flush()
    except typer.TyperException as error:
        ctx = getattr(error, "ctx", None)
        said = error.format_message().removesuffix(".").replace("Value error, ", "")
        fail(f"{said}; see {ctx.command_path if ctx else program} --help", status=error.exit_code)
    except typer.Abort:
        status = _INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has seen enough; what is left goes nowhere, and quietly
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
