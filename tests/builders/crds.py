"""What the CRDs under crds/ say of an object: fields that the API server's strict validation would refuse."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from sublet.api.models import MODELS
from sublet.api.names import API_VERSION
from tests.planes.binaries import ROOT


def faults_of(body: dict[str, Any]) -> list[str]:
    """Return what is wrong with one of our objects, by its CRD and by its model."""
    if body.get("apiVersion") != API_VERSION:
        return [f"apiVersion {body.get('apiVersion')} isn't {API_VERSION}"]
    MODELS[body["kind"]].model_validate(body)
    schema = {**_schemas()[body["kind"]], "metadata": {}}
    return list(_unknown(body, {"type": "object", "properties": schema}, body["kind"]))


def unknown_fields(kind: str, patch: dict[str, Any]) -> list[str]:
    """Return fields of a patch of one of our objects that its CRD doesn't have."""
    schema = {"type": "object", "properties": {**_schemas()[kind], "metadata": {}}}
    return [fault for fault in _unknown(patch, schema, kind) if fault.endswith("isn't in the CRD")]


@cache
def _schemas() -> dict[str, Any]:
    """Return kind -> the properties of its objects."""
    found = {}
    for path in (ROOT / "crds").glob("*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
        found[spec["names"]["kind"]] = schema["properties"]
    return found


def _unknown(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Yield fields that the schema doesn't have and required ones that aren't there."""
    if isinstance(value, dict) and "properties" in schema:
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{path}.{name} is missing"
        for name, each in value.items():
            if name not in schema["properties"]:
                yield f"{path}.{name} isn't in the CRD"
            else:
                yield from _unknown(each, schema["properties"][name], f"{path}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for number, each in enumerate(value):
            yield from _unknown(each, schema["items"], f"{path}[{number}]")


def twins_in(kind: str, status: dict[str, Any]) -> list[str]:
    """Return the lists of a status that have two entries of one key, for which an API server refuses all of it."""
    return list(_twins(status, _schemas()[kind]["status"], "status"))


def _twins(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _twins(each, schema.get("properties", {}).get(name, {}), f"{path}.{name}")
    elif isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys", ())
        found = [tuple(each.get(key) for key in keys) for each in value if keys]
        if len(set(found)) < len(found):
            yield path
        for each in value:
            yield from _twins(each, schema.get("items", {}), path)
