"""From a pydantic model's JSON schema to the structural schema that a CRD must have.

Rules of the target: every node typed, no `$ref`, no `title`, no `additionalProperties: false`, numbers'
exclusive bounds as booleans (OpenAPI 3.0), optional fields absent instead of null. Whatever can't be expressed
raises at generation time rather than being dropped.
"""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel

from sublet.api.schema import ApiModel, Rule
from sublet.crdgen.docstrings import field_docstrings

Schema = dict[str, Any]

_DROPPED = ("title", "discriminator", "cel_rules", "deprecated")
_INT32, _INT64 = "int32", "int64"


class SchemaError(Exception):
    """A model uses something that a CRD can't say."""


def structural_schema(model: type[ApiModel], field: str) -> Schema:
    """Return the structural schema of one field (`spec` or `status`) of a kind."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    models = list(_models_of(model))
    definitions = {model.__name__: raw, **raw.get("$defs", {})}
    _describe(definitions, models)
    rules = {each.__name__: each.cel_rules for each in models if each.cel_rules}
    return _Rewriter(definitions, rules).rewrite(raw["properties"][field], f".{field}")


class _Rewriter:
    """Walks a JSON schema once, inlining references and rewriting what a CRD says differently."""

    def __init__(self, definitions: dict[str, Schema], rules: dict[str, tuple[Rule, ...]]) -> None:
        self._definitions = definitions  # definition name -> schema
        self._rules = rules  # model name -> rules on the object

    def rewrite(self, node: Schema, path: str) -> Schema:
        """Return the structural form of one node; `path` is for errors."""
        node, rules = self._resolve(node, path)
        if "anyOf" in node:
            raise SchemaError(f"{path}: a union can't be a structural schema; use optional fields")
        out = {key: value for key, value in node.items() if key not in _DROPPED}
        if out.get("type") in ("object", "array"):
            # an absent object stays absent, or server-side apply would own fields nobody wrote
            out.pop("default", None)
        if "const" in out:
            out["enum"] = [out.pop("const")]
        for bound in ("Minimum", "Maximum"):
            exclusive = out.pop(f"exclusive{bound}", None)
            if exclusive is not None:
                out[bound.lower()] = exclusive
                out[f"exclusive{bound}"] = True
        self._rewrite_children(out, path)
        marked = (*rules, *(Rule(**rule) for rule in node.get("cel_rules", ())))
        if marked:
            out["x-kubernetes-validations"] = [rule_schema(rule) for rule in marked]
        if "type" not in out:
            raise SchemaError(f"{path}: has no type")
        return out

    def _rewrite_children(self, out: Schema, path: str) -> None:
        if "properties" in out:
            out["properties"] = {
                name: self.rewrite(child, f"{path}.{name}")
                for name, child in out["properties"].items()
            }
            out.pop("additionalProperties", None)
        elif isinstance(out.get("additionalProperties"), dict):
            out["additionalProperties"] = self.rewrite(out["additionalProperties"], f"{path}[*]")
        if "items" in out:
            out["items"] = self.rewrite(out["items"], f"{path}[]")

    def _resolve(self, node: Schema, path: str) -> tuple[Schema, tuple[Rule, ...]]:
        """Follow references and optional wrappers; what stands beside them wins."""
        rules: tuple[Rule, ...] = ()
        while True:
            if "$ref" in node:
                name = node["$ref"].rsplit("/", 1)[-1]
                beside = {k: v for k, v in node.items() if k != "$ref"}
                node = {**self._definitions[name], **beside}
                rules = self._rules.get(name, ())
            elif "anyOf" in node:
                branches = [b for b in node["anyOf"] if b.get("type") != "null"]
                if len(branches) != 1:
                    raise SchemaError(f"{path}: a union can't be a structural schema")
                beside = {k: v for k, v in node.items() if k != "anyOf"}
                if beside.get("default", ...) is None:
                    del beside["default"]
                node = {**branches[0], **beside}
            else:
                return node, rules


def rule_schema(rule: Rule) -> Schema:
    """Return one entry of x-kubernetes-validations."""
    out: Schema = {"rule": rule.rule, "message": rule.message}
    if rule.message_expression is not None:
        out["messageExpression"] = rule.message_expression
    if rule.field_path is not None:
        out["fieldPath"] = rule.field_path
    if rule.reason is not None:
        out["reason"] = rule.reason
    return out


def _describe(definitions: dict[str, Schema], models: Iterable[type[ApiModel]]) -> None:
    """Give each field the text that stands under it."""
    for model in models:
        properties = definitions[model.__name__]["properties"]
        for name, text in field_docstrings(model).items():
            properties[model.model_fields[name].alias]["description"] = text


def _models_of(model: type[BaseModel]) -> Iterator[type[ApiModel]]:
    """Yield every model that a model's fields mention, at any depth."""
    seen: set[type] = set()
    todo: list[Any] = [model]
    while todo:
        each = todo.pop()
        if isinstance(each, type) and issubclass(each, ApiModel):
            if each in seen:
                continue
            seen.add(each)
            yield each
            for field in each.model_fields.values():
                todo += [field.annotation, *field.metadata]
        todo += get_args(each)
