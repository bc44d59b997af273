"""`sublet statement`: what a namespace owes, month by month or line by line. With reads of objects alone, as a tenant may."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from sublet.api.common import Status, find_condition
from sublet.api.gpustatement import GpuStatement, StatementLine
from sublet.api.kinds import STATEMENTS
from sublet.cli.connect import checked_name, connect, run
from sublet.cli.contexts import find_context
from sublet.cli.ledger import Context
from sublet.cli.output import Format, RowsFormatOption, show_rows
from sublet.cli.problems import Problem
from sublet.cli.spans import parse_month
from sublet.clock import SystemClock

_MONTHS: Final = ("name", "month", "total", "currency", "state", "until")
_LINES: Final = (
    "charge",
    "class",
    "corrects",
    "tags",
    "gpu-hours",
    "unit-price",
    "list-amount",
    "amount",
    "currency",
)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(statement)


def statement(
    month: Annotated[
        str | None,
        typer.Argument(metavar="YYYY-MM", help="The billing period; a list of all if left out."),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "-n", "--namespace", metavar="NAME", help="The namespace, if not your context's."
        ),
    ] = None,
    context: Context = None,
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show what the claims of a namespace cost: each month, or one month line by line.

    An open month changes until it is closed; what comes later is corrected in the next one.
    """

    async def work() -> None:
        wanted = parse_month(month, SystemClock().now_ms()) if month is not None else None
        found = find_context(context)
        meant = namespace or (found.namespace if found else "default")
        path = STATEMENTS.path(checked_name(meant, what="namespace", label=True))
        async with connect(context) as hub:
            items = (await hub.get(path))["items"]
        shown = sorted(map(GpuStatement.model_validate, items), key=_order)
        if wanted is None:
            _show_months(shown, items, output, meant)
        else:
            mine = [x for x in shown if x.spec.month == wanted]
            _show_lines(mine, items, output, f"{wanted} in namespace {meant}")

    run(work, what="the statement")


def _show_months(
    shown: Sequence[GpuStatement], items: list[dict[str, Any]], form: Format, namespace: str
) -> None:
    if not shown and form in (Format.TABLE, Format.WIDE):
        print(
            f"no statements in namespace {namespace} yet: they come within the hour in which something is owed"
        )
        return
    show_rows(items, form, _MONTHS, [_month_row(x) for x in shown])


def _show_lines(
    shown: Sequence[GpuStatement], items: list[dict[str, Any]], form: Format, what: str
) -> None:
    if not shown:
        raise Problem(f"no statement for {what}; `sublet statement` lists those that there are")
    names = {x.metadata.name for x in shown}
    data = [x for x in items if x["metadata"]["name"] in names]
    rows = [_line_row(x, line) for x in shown for line in x.status.lines]
    if form in (Format.TABLE, Format.WIDE):
        rows += [("total", *[""] * 6, x.status.total or "", x.spec.currency) for x in shown]
    show_rows(data, form, _LINES, rows, title="\n".join(_title(x) for x in shown))


def _title(each: GpuStatement) -> str:
    status = each.status
    ready = find_condition(status.conditions, "Ready")
    said = f"{each.metadata.name}: {_state(each)}"
    if status.ledger_seq is not None:
        said += f", line {status.ledger_seq} of the ledger ({(status.ledger_head or '')[:12]})"
    if ready is not None and ready.status is not Status.TRUE:
        said += f"; not up to date: {ready.message}"
    return said


def _state(each: GpuStatement) -> str:
    closed = find_condition(each.status.conditions, "Closed")
    return "closed" if closed is not None and closed.status is Status.TRUE else "open"


def _month_row(each: GpuStatement) -> tuple[object, ...]:
    until = each.status.model_dump(mode="json", by_alias=True).get("asOfTime") or ""
    spec = each.spec
    return each.metadata.name, spec.month, each.status.total, spec.currency, _state(each), until


def _line_row(each: GpuStatement, line: StatementLine) -> tuple[object, ...]:
    tags = ",".join(f"{k}={v}" for k, v in sorted(line.tags.items()))
    return (
        line.category, line.class_name or "", line.corrects or "", tags, line.gpu_hours,
        line.unit_price or "", line.list_amount, line.amount, each.spec.currency,
    )  # fmt: skip


def _order(each: GpuStatement) -> tuple[str, str, str]:
    return each.spec.month, each.spec.currency, each.metadata.name
