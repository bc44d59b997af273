"""Markers with which the models say what pydantic can't: how a field behaves in a CRD.

Written in the models, read by `sublet.crdgen`. A marker is plain JSON-schema extra, so a model stays
readable without knowing the generator.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Extra = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule (`x-kubernetes-validations`): what must hold, and what the user is told if not."""

    rule: str
    message: str
    field_path: str | None = None
    reason: str | None = None
    message_expression: str | None = None
    """CEL that says it more exactly, evaluated at a refusal only."""


class ApiModel(BaseModel):
    """Base of every type on the wire: camelCase outside, frozen, unknown fields of newer versions ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
    )

    cel_rules: ClassVar[tuple[Rule, ...]] = ()
    """Rules on this object as a whole; `self` is the object."""


class StatusModel(ApiModel):
    """Base of what is kept in a status from one write to the next: an older operator drops no field of a newer one."""

    model_config = ConfigDict(extra="allow")

    def known(self) -> Self:
        """Return it without what this version doesn't know: nobody agrees to what only a spec says."""
        if not self.model_extra:
            return self
        return self.model_validate({n: getattr(self, n) for n in type(self).model_fields})


def list_map(*keys: str) -> Extra:
    """Mark a list of objects that server-side apply merges by `keys`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def list_set() -> Extra:
    """Mark a list of scalars in which each value stands once."""
    return {"x-kubernetes-list-type": "set"}


def atomic() -> Extra:
    """Mark an object or list that is replaced as a whole."""
    return {"x-kubernetes-map-type": "atomic"}


def atomic_list() -> Extra:
    """Mark a list that is replaced as a whole."""
    return {"x-kubernetes-list-type": "atomic"}


def rules(*items: Rule) -> Extra:
    """Mark one field with CEL rules of its own; `self` is the field's value."""
    return {"cel_rules": [asdict(item) for item in items]}


def one_at_a_time(field: str, message: str) -> Rule:
    """Return the rule that no two entries of a list have one instant: a list map takes it in two spellings."""
    return Rule(f"self.all(a, self.exists_one(b, b.{field} == a.{field}))", message)
