"""What a codec is: values to plain JSON and back, exactly, by their declared types.

Scalars and composites fulfil it, `sublet.record.shape` makes them from the types. Whatever doesn't fit its declared type
is an error at once: a record that lost something would replay something else. Reading judges types, not the API's
limits: what the operator had in memory is read back as it was.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Protocol

Json = Any
"""None, bool, int, float, str, list or dict of them."""


class RecordError(ValueError):
    """Something can't be written or read; its text says what and where in one line."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path = ""

    def inside(self, part: str) -> "RecordError":
        """Return the error as seen from one level further out."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{part}{dot}{self.path}"
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


class Leaves:
    """What is written for texts and amounts; as it stands, the values themselves."""

    def text(self, name: str, value: str) -> str:
        """Return what is written for a text in a field of that name."""
        return value

    def amount(self, value: Decimal) -> Decimal:
        """Return what is written for a decimal."""
        return value


AS_IT_IS: Final = Leaves()


class Codec(Protocol):
    """Writes and reads values of one type."""

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return a value as JSON; RecordError if it isn't of the type."""

    def read(self, raw: Json) -> Any:
        """Return the value; RecordError if the JSON isn't one of the type."""


def dumps(raw: Json) -> str:
    """Write JSON as one line of ASCII, the same text for the same value."""
    return json.dumps(raw, separators=(",", ":"), allow_nan=False)


def each(values: Any, work: Callable[[Any], Any]) -> list[Any]:
    """Return the results for all values; an error names the place."""
    found: list[Any] = []
    try:
        for value in values:
            found.append(work(value))  # noqa: PERF401  the length is where an error is
    except RecordError as error:
        raise error.inside(f"[{len(found)}]") from None
    return found


def at(part: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result; an error names the part."""
    try:
        return work(*arguments)
    except RecordError as error:
        raise error.inside(part) from None


def as_list(raw: Json) -> list[Any]:
    """Return a list of JSON; RecordError if it is none."""
    if not isinstance(raw, list):
        raise wrong("list", raw)
    return raw


def wrong(wanted: str, value: Any) -> RecordError:
    """Say what was wanted; the value's type and not the value, which nobody may be meant to see."""
    return RecordError(f"{wanted} wanted, {type(value).__name__} found")
