"""A text of the ledger: canonical JSON of a model, whose hash is its name. Pure.

The same terms give the same bytes on every machine. A version that doesn't know a field keeps it, so that no hash changes under it;
and a field that is added later is None by default, so that what was written keeps its hash.
"""

import json
from typing import Any, ClassVar, Self

from sublet.api.schema import StatusModel
from sublet.ledger.terms import content_hash


class Text(StatusModel):
    """Base of what is stored; `kind` says which it is."""

    kind: str
    KIND: ClassVar[str]

    @property
    def text(self) -> str:
        """Return the canonical JSON that is hashed and stored."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def hash(self) -> str:
        """Return the content hash."""
        return content_hash(self.text)

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what a stored text says; ValueError if it is of another kind, or none."""
        fields: dict[str, Any] = json.loads(text)
        if fields.get("kind") != cls.KIND:
            raise ValueError(f"a text of kind {fields.get('kind')!r} is no {cls.KIND}")
        return cls.model_validate(fields)
