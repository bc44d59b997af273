"""The CustomResourceDefinition around a kind's schema: names, columns, subresources, status default."""

from typing import Any

import yaml

from sublet.api.kinds import CLAIMS, Kind
from sublet.api.models import MODELS
from sublet.api.names import GROUP, VERSION
from sublet.api.schema import atomic
from sublet.crdgen.schema import Schema, rule_schema, structural_schema

_WAITING: Schema = {
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "WaitingForOperator",
            "message": "the operator hasn't seen this object yet",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ]
}
"""So that a new object never looks ready, also while no operator runs."""

_WHOLE = {CLAIMS.name: atomic()}  # kind -> how its status is owned
"""A surge writes the status of thousands of claims; noting who owns which field of it is a fifth of what that costs the server."""

_SELECTABLE = {CLAIMS.name: [".spec.className"]}  # kind -> JSON paths of field selectors


def custom_resource_definition(kind: Kind) -> dict[str, Any]:
    """Return the CRD of a kind as a plain object."""
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            _column(c.name, c.json_path, c.type, c.wide) for c in kind.columns
        ],
        "schema": {"openAPIV3Schema": _root(kind)},
    }
    if kind.name in _SELECTABLE:
        version["selectableFields"] = [{"jsonPath": path} for path in _SELECTABLE[kind.name]]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": list(kind.short_names),
                "categories": ["sublet"],
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
    }


def to_yaml(crd: dict[str, Any]) -> str:
    """Write a CRD as YAML, the same text for the same models."""
    header = "# Generated from operator/sublet/api by `make generate`. Do not edit.\n"
    return header + yaml.safe_dump(crd, sort_keys=True, width=100, allow_unicode=True)


def _root(kind: Kind) -> Schema:
    model = MODELS[kind.name]
    root: Schema = {
        "type": "object",
        "description": (model.__doc__ or "").strip(),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this object's schema."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": structural_schema(model, "spec"),
            "status": structural_schema(model, "status")
            | _WHOLE.get(kind.name, {})
            | {"default": _WAITING},
        },
    }
    if model.cel_rules:
        root["x-kubernetes-validations"] = [rule_schema(rule) for rule in model.cel_rules]
    return root


def _column(name: str, path: str, type_: str, wide: bool) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "jsonPath": path, "type": type_}
    if wide:
        column["priority"] = 1
    return column
