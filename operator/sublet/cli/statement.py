"""`sublet statement`: what a namespace owes, month by month or line by line. With reads of objects alone, as a tenant may."""

from collections.abc import Sequence
from typing import Any, Final

from sublet.api.common import Status, find_condition
from sublet.api.gpustatement import GpuStatement, StatementLine
from sublet.api.kinds import STATEMENTS
from sublet.cli.choices import Format
from sublet.cli.connect import connect, run
from sublet.cli.objects import list_raw, meant_namespace
from sublet.cli.output import show_rows
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


def command(month: str | None, namespace: str | None, context: str | None, output: Format) -> None:
    """Read the namespace's statements and show their totals, or the lines of one month."""

    async def work() -> None:
        wanted = parse_month(month, SystemClock().now_ms()) if month is not None else None
        meant = meant_namespace(namespace, context)
        async with connect(context) as hub:
            items = await list_raw(hub, STATEMENTS.path(meant))
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
