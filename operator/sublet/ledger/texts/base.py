"""A text of the ledger: canonical JSON of a model, whose hash is its name. Pure.

The same terms give the same bytes on every machine. A version that doesn't know a field, at any depth, keeps it, so that no hash
changes under it; and a field that is added later is None by default, so that what was written keeps its hash.
"""

import json
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ValidationError

from sublet.api.reading import fault_of
from sublet.api.schema import StatusModel
from sublet.ledger.terms import content_hash, unknown_text


class Text(StatusModel):
    """Base of what is stored; `kind` says which it is."""

    kind: str
    KIND: ClassVar[str]

    @property
    def text(self) -> str:
        """Return the canonical JSON that is hashed and stored."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        whole = _with_unknown(self, fields)
        return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def hash(self) -> str:
        """Return the content hash."""
        return content_hash(self.text)

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what a stored text says; BrokenLedger if it is of another kind, or none that this version knows."""
        try:
            fields: Any = json.loads(text)
        except ValueError as error:
            raise unknown_text(text, "it is no JSON") from error
        kind = fields.get("kind") if isinstance(fields, dict) else None
        if kind != cls.KIND:
            raise unknown_text(text, f"a text of kind {kind!r} is no {cls.KIND}")
        try:
            return cls.model_validate(fields, extra="allow")
        except ValidationError as error:
            raise unknown_text(text, fault_of(error)) from error


def _with_unknown(value: Any, said: Any) -> Any:
    """Return the JSON of a value with the fields that its models were read with and don't know: pydantic says those of the outermost."""
    if isinstance(value, tuple):
        return list(map(_with_unknown, value, said))
    if not isinstance(value, BaseModel) or value.model_extra is None:
        return said
    inner = {
        key: _with_unknown(getattr(value, name), said[key])
        for name, field in type(value).model_fields.items()
        if (key := field.serialization_alias or name) in said
    }
    return {**said, **inner, **value.model_extra}
