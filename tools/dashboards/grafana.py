"""Panels and dashboards as Grafana reads them: the few shapes that ours are made of."""

from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

WIDTH: Final = 24
"""Columns of Grafana's grid."""
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA: Final = 39


@dataclass(frozen=True)
class Query:
    """A query, and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """What a panel shows; its place is found when the dashboard is laid out."""

    title: str
    kind: str
    queries: tuple[Query, ...]
    text: str = ""
    unit: str = "short"
    width: int = 12
    height: int = 8
    defaults: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A heading, and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


def stat(title: str, expr: str, *, unit: str = "short", text: str = "", legend: str = "") -> Panel:
    """Return one number."""
    options = {
        "colorMode": "none",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"]},
    }
    query = Query(expr, legend)
    return Panel(title, "stat", (query,), text, unit, width=4, height=4, options=options)


def flag(title: str, expr: str, good: str, bad: str, *, text: str = "", legend: str = "") -> Panel:
    """Return a state that is 0 while all is well."""
    mapping = {
        "type": "value",
        "options": {
            "0": {"text": good, "color": "green", "index": 0},
            "1": {"text": bad, "color": "red", "index": 1},
        },
    }
    options = {
        "colorMode": "background",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"]},
    }
    return Panel(
        title, "stat", (Query(expr, legend),), text, "none", 4, 4, {"mappings": [mapping]}, options
    )  # fmt: skip


def graph(
    title: str,
    *queries: Query,
    unit: str = "short",
    text: str = "",
    stacked: bool = False,
    width: int = 12,
) -> Panel:
    """Return lines over time, one on the other if they add up to something."""
    custom: Json = {"lineWidth": 1, "fillOpacity": 40 if stacked else 8, "showPoints": "never"}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel(
        title, "timeseries", queries, text, unit, width, 8, {"custom": custom, "min": 0}, options
    )


def signed(panel: Panel) -> Panel:
    """Return a graph whose values may be below 0."""
    defaults = {k: v for k, v in panel.defaults.items() if k != "min"}
    return Panel(**{**panel.__dict__, "defaults": defaults})


def bars(title: str, expr: str, legend: str, *, unit: str, text: str = "", most: float | None = None) -> Panel:  # fmt: skip
    """Return one bar for each series, longest first."""
    options = {
        "orientation": "horizontal",
        "displayMode": "basic",
        "reduceOptions": {"calcs": ["lastNotNull"]},
    }
    defaults: Json = {"min": 0} if most is None else {"min": 0, "max": most}
    query = Query(f"sort_desc({expr})", legend)
    return Panel(title, "bargauge", (query,), text, unit, 12, 8, defaults, options)


def history(title: str, *queries: Query, text: str = "") -> Panel:
    """Return states over time: 1 is well, 0 isn't."""
    mapping = {
        "type": "value",
        "options": {
            "0": {"text": "no", "color": "red", "index": 0},
            "1": {"text": "yes", "color": "green", "index": 1},
        },
    }
    return Panel(
        title, "state-timeline", queries, text, "none", WIDTH, 8,
        {"mappings": [mapping], "custom": {"fillOpacity": 70}}, {"showValue": "never"},
    )  # fmt: skip


def chosen(name: str, label: str, metric: str) -> Json:
    """Return a variable: which values of a label are looked at, all at first."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": f"label_values({metric}, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def dashboard(name: str, title: str, text: str, rows: list[Row], variables: tuple[Json, ...] = ()) -> Json:  # fmt: skip
    """Return a dashboard, its panels laid out from left to right."""
    return {
        "uid": f"sublet-{name}",
        "title": f"Sublet / {title}",
        "description": text,
        "tags": ["sublet"],
        "schemaVersion": _SCHEMA,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "links": [
            {"type": "dashboards", "title": "Sublet", "tags": ["sublet"], "asDropdown": True, "keepTime": True}
        ],
        "templating": {"list": [_datasource(), *variables]},
        "panels": _laid_out(rows),
    }  # fmt: skip


def _datasource() -> Json:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
    }


def _laid_out(rows: list[Row]) -> list[Json]:
    found: list[Json] = []
    top = 0
    for row in rows:
        place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
        found.append({"id": len(found) + 1, "type": "row", "title": row.title, "gridPos": place})
        top += 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                left, top, height = 0, top + height, 0
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            found.append(_panel(panel, len(found) + 1, place))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return found


def _panel(panel: Panel, number: int, place: dict[str, int]) -> Json:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
        }
        for index, query in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, **panel.defaults}, "overrides": []},
        "options": panel.options,
    }
