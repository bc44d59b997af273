"""The defaults of our kinds, from the CRDs as they are installed (apiextensions, structural schema defaulting)."""

from copy import deepcopy
from functools import cache
from typing import Any

import yaml

from tests.planes.binaries import ROOT


@cache
def _schema(resource: str) -> dict[str, Any]:
    crd = yaml.safe_load((ROOT / "crds" / f"sublet.dev_{resource}.yaml").read_text())
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return found["spec"]


def fill_in(resource: str, body: dict[str, Any]) -> None:
    """Put into an object's spec what its writer left out and the CRD has a default for."""
    _fill(_schema(resource), body["spec"])


def _fill(schema: dict[str, Any], value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _fill(schema.get("items") or {}, item)
    elif isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if name not in value and "default" in inner:
                value[name] = deepcopy(inner["default"])
            if name in value:
                _fill(inner, value[name])
