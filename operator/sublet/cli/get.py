"""`sublet get KIND [NAME]`: objects in the columns that the API declares, as `kubectl get` shows them, and as CSV.

Objects stay plain JSON: a thousand of them are shown without a model of each.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from sublet.api.kinds import ALL_KINDS, Column, Kind
from sublet.api.times import Millis, parse_instant
from sublet.cli.choices import Format
from sublet.cli.connect import checked_name, connect, run
from sublet.cli.durations import duration
from sublet.cli.objects import bare, by_key, list_raw, meant_namespace, read_raw
from sublet.cli.output import show_data, show_rows
from sublet.cli.problems import Problem
from sublet.clock import SystemClock

_STEP: Final = re.compile(r"\.([A-Za-z]+)|\[\?\(@\.([a-z]+)==\"([A-Za-z]+)\"\)\]")
"""One step of a column's path: into a field, or to the entry of a list whose field has a value."""


def command(
    kind: str,
    name: str | None,
    namespace: str | None,
    context: str | None,
    output: Format,
    *,
    all_namespaces: bool,
) -> None:
    """Read objects and show them."""

    async def work() -> None:
        wanted = kind_named(kind)
        if name and all_namespaces:
            raise Problem("a name is one namespace's: give -n with it, not -A")
        where = _where(wanted, namespace, context, everywhere=all_namespaces)
        path = wanted.path(where, checked_name(name, what=wanted.name) if name else "")
        async with connect(context) as hub:
            items = [await read_raw(hub, path)] if name else await list_raw(hub, path)
        found = sorted(map(bare, items), key=by_key)
        if not found and output in (Format.TABLE, Format.WIDE):
            print(f"no {wanted.plural}" + (f" in namespace {where}" if where else ""))
            return
        if show_data(found[0] if name else found, output):
            return
        show(wanted, found, output, SystemClock().now_ms(), with_namespace=wanted.namespaced and not where)  # fmt: skip

    run(work, what=f"{kind} {name}" if name else kind)


def kind_named(text: str) -> Kind:
    """Return the kind that a person means: by its name, plural or short name, or by the word in it."""
    word = text.lower()
    for kind in ALL_KINDS:
        short = kind.plural.removeprefix("gpu")
        names = {kind.name.lower(), kind.plural, short, kind.name.lower().removeprefix("gpu")}
        if word in names | set(kind.short_names):
            return kind
    known = ", ".join(kind.plural.removeprefix("gpu") for kind in ALL_KINDS)
    raise Problem(f"there is no kind {text!r}; there are: {known}")


def show(
    kind: Kind,
    items: list[dict[str, Any]],
    output: Format,
    now_ms: Millis,
    *,
    with_namespace: bool,
) -> None:
    """Print objects in the columns of their kind; CSV has all of them."""
    is_wide = output in (Format.WIDE, Format.CSV)
    columns = [c for c in kind.columns if is_wide or not c.wide]
    head = (*(("namespace",) if with_namespace else ()), "name", *(c.name.lower() for c in columns))
    rows = [
        (
            *((item["metadata"].get("namespace", ""),) if with_namespace else ()),
            item["metadata"]["name"],
            *(cell(item, column, now_ms) for column in columns),
        )
        for item in items
    ]
    show_rows(items, output, head, rows)


def cell(item: Mapping[str, Any], column: Column, now_ms: Millis) -> object:
    """Return what stands in a column for an object."""
    found: Any = item
    for field, key, value in _STEP.findall(column.json_path):
        if field:
            found = found.get(field) if isinstance(found, Mapping) else None
        else:
            entries = found if isinstance(found, list) else []
            found = next((e for e in entries if e.get(key) == value), None)
    if found is not None and column.type == "date":
        return duration(max(0, now_ms - parse_instant(str(found))) // 1_000)
    return ",".join(map(str, found)) if isinstance(found, list) else found


def _where(kind: Kind, namespace: str | None, context: str | None, *, everywhere: bool) -> str:
    """Return the namespace to read in; none for all of them."""
    if not kind.namespaced or everywhere:
        return ""
    return meant_namespace(namespace, context)
