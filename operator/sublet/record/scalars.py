"""Codecs of single values: numbers, texts, amounts of money, members of enumerations."""

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from sublet.record.codec import Json, Leaves, RecordError, wrong


@dataclass(frozen=True, slots=True)
class Plain:
    """A number or a bool."""

    type: type

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return it unchanged."""
        return self.read(value)

    def read(self, raw: Json) -> Any:
        """Return it unchanged."""
        # by exact type: True is an int in Python, and 1 isn't 1.0
        if type(raw) is not self.type:
            raise wrong(self.type.__name__, raw)
        if isinstance(raw, float) and not math.isfinite(raw):
            raise RecordError(f"{raw} is no number")
        return raw


@dataclass(frozen=True, slots=True)
class Text:
    """A text; `name` is the field's that it stands in."""

    name: str

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return it as the leaves show it."""
        return leaves.text(self.name, self.read(value))

    def read(self, raw: Json) -> Any:
        """Return it."""
        if not isinstance(raw, str):
            raise wrong("str", raw)
        return raw


@dataclass(frozen=True, slots=True)
class Amount:
    """A decimal, written as text with every digit."""

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return its text as the leaves show it."""
        if type(value) is not Decimal or not value.is_finite():
            raise wrong("finite Decimal", value)
        return str(leaves.amount(value))

    def read(self, raw: Json) -> Any:
        """Return it."""
        try:
            value = Decimal(raw) if isinstance(raw, str) else None
        except InvalidOperation:
            value = None
        # only what would be written: no blanks, no NaN
        if value is None or str(value) != raw or not value.is_finite():
            raise wrong("decimal", raw)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """A member of an enumeration, written as its value."""

    type: type[Enum]

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return its value."""
        if type(value) is not self.type:
            raise wrong(self.type.__name__, value)
        return value.value

    def read(self, raw: Json) -> Any:
        """Return the member."""
        try:
            return self.type(raw)
        except ValueError:
            raise RecordError(f"{str(raw)[:60]!r} is no {self.type.__name__}") from None
