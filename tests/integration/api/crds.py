"""The committed CRDs, taken apart: rules, defaults, shared lists and columns, each with where it stands."""

from collections.abc import Iterator
from typing import Any

import yaml

from tests.planes.binaries import ROOT

Schema = dict[str, Any]

CRDS = {
    crd["spec"]["names"]["kind"]: crd
    for crd in (yaml.safe_load(p.read_text()) for p in sorted((ROOT / "crds").glob("*.yaml")))
}


def version_of(kind: str) -> dict[str, Any]:
    """Return the only version of a kind."""
    (version,) = CRDS[kind]["spec"]["versions"]
    return version


def marks(key: str) -> list[tuple[str, str, Any]]:
    """Return kind, path and value of each schema node of any CRD that has `key`."""
    return [
        (kind, path, node[key])
        for kind in CRDS
        for path, node in _nodes(version_of(kind)["schema"]["openAPIV3Schema"], "")
        if key in node
    ]


def columns_of(kind: str, *, wide: bool) -> list[str]:
    """Return the printer columns of a kind as kubectl heads them."""
    columns = version_of(kind)["additionalPrinterColumns"]
    return [c["name"].upper() for c in columns if wide or not c.get("priority")]


def values_at(value: Any, path: str) -> list[Any]:
    """Return what an object holds at a path of `marks`; `[]` in it stands for each item of a list."""
    found = [value]
    for part in path.removeprefix(".").split("."):
        name, each = part.removesuffix("[]"), part.endswith("[]")
        found = [v[name] for v in found if name in v]
        if each:
            found = [item for v in found for item in v]
    return found


def _nodes(node: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from _nodes(node[key], f"{path}[]")
