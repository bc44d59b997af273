"""Codecs of what holds other values: optional ones, tuples, sets, mappings, classes."""

from collections.abc import Callable, Mapping, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from sublet.record.codec import Codec, Json, Leaves, RecordError, as_list, at, dumps, each, wrong
from sublet.record.scalars import Choice, Text

TAG: Final = "kind"
"""Names the class where a value may be of several."""


@dataclass(frozen=True, slots=True)
class Maybe:
    """A value or None."""

    inner: Codec

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return null or the value."""
        return None if value is None else self.inner.write(value, leaves)

    def read(self, raw: Json) -> Any:
        """Return None or the value."""
        return None if raw is None else self.inner.read(raw)


@dataclass(frozen=True, slots=True)
class Row:
    """A tuple or list of one type, in its order."""

    inner: Codec
    make: type

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return a list."""
        if not isinstance(value, list | tuple):
            raise wrong(self.make.__name__, value)
        return each(value, lambda item: self.inner.write(item, leaves))

    def read(self, raw: Json) -> Any:
        """Return the tuple or list."""
        return self.make(each(as_list(raw), self.inner.read))


@dataclass(frozen=True, slots=True)
class Fixed:
    """A tuple of so many values, each of its own type."""

    inners: tuple[Codec, ...]

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return a list."""
        if not isinstance(value, tuple) or len(value) != len(self.inners):
            raise wrong(f"tuple of {len(self.inners)}", value)
        pairs = zip(self.inners, value, strict=True)
        return each(pairs, lambda pair: pair[0].write(pair[1], leaves))

    def read(self, raw: Json) -> Any:
        """Return the tuple."""
        if len(as_list(raw)) != len(self.inners):
            raise RecordError(f"{len(raw)} values instead of {len(self.inners)}")
        return tuple(each(zip(self.inners, raw, strict=True), lambda pair: pair[0].read(pair[1])))


@dataclass(frozen=True, slots=True)
class Group:
    """A set, written in the order of its members' texts."""

    inner: Codec

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return a list."""
        if not isinstance(value, AbstractSet):
            raise wrong("set", value)
        return sorted((self.inner.write(item, leaves) for item in value), key=dumps)

    def read(self, raw: Json) -> Any:
        """Return a frozenset."""
        found = frozenset(each(as_list(raw), self.inner.read))
        if len(found) != len(raw):
            raise RecordError("a value stands twice in a set")
        return found


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping in its own order, which is part of the input; an object, or pairs where keys are no texts."""

    key: Codec
    value: Codec

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return an object or a list of pairs."""
        if not isinstance(value, Mapping):
            raise wrong("mapping", value)
        pairs = [
            [self.key.write(key, leaves), at(_place(key), self.value.write, item, leaves)]
            for key, item in value.items()
        ]
        return dict(pairs) if self._is_object else pairs

    def read(self, raw: Json) -> Any:
        """Return a dict."""
        if self._is_object:
            if not isinstance(raw, dict):
                raise wrong("object", raw)
            pairs = list(raw.items())
        else:
            pairs = each(as_list(raw), Fixed((_RAW, _RAW)).read)
        found = {self.key.read(key): at(_place(key), self.value.read, item) for key, item in pairs}
        if len(found) != len(pairs):
            raise RecordError("a key stands twice")
        return found

    @property
    def _is_object(self) -> bool:
        return isinstance(self.key, Text) or (
            isinstance(self.key, Choice) and issubclass(self.key.type, str)
        )


@dataclass(slots=True)
class Struct:
    """A dataclass or model with every field, none left out."""

    type: type
    make: Callable[..., Any]
    """Takes the fields by their names in JSON."""
    fields: list[tuple[str, str, Codec]] = field(default_factory=list)
    """Attribute, name in JSON, codec; in order of the names."""

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return an object."""
        if type(value) is not self.type:
            raise wrong(self.type.__name__, value)
        raw = {}
        for attribute, name, codec in self.fields:
            if not hasattr(value, attribute):
                raise RecordError("the field was never set").inside(name)
            raw[name] = at(name, codec.write, getattr(value, attribute), leaves)
        return raw

    def read(self, raw: Json) -> Any:
        """Return the dataclass or model."""
        if not isinstance(raw, dict):
            raise wrong("object", raw)
        names = {name for _, name, _ in self.fields}
        for fault, which in (("missing", names - raw.keys()), ("unknown", raw.keys() - names)):
            if which:
                raise RecordError(f"{fault} field {min(which)}")
        return self.make(
            **{name: at(name, codec.read, raw[name]) for _, name, codec in self.fields}
        )


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several classes, told apart by the tag."""

    structs: Mapping[str, Struct]
    """By the class's name."""

    def write(self, value: Any, leaves: Leaves) -> Json:
        """Return an object with the tag in front."""
        struct = self.structs.get(type(value).__name__)
        if struct is None:
            raise wrong(" or ".join(self.structs), value)
        return {TAG: type(value).__name__, **struct.write(value, leaves)}

    def read(self, raw: Json) -> Any:
        """Return the dataclass or model that the tag names."""
        name = raw.get(TAG) if isinstance(raw, dict) else None
        if not isinstance(name, str) or name not in self.structs:
            raise RecordError(f"{TAG} is none of {', '.join(self.structs)}")
        return self.structs[name].read({k: v for k, v in raw.items() if k != TAG})


class _Raw:
    def write(self, value: Any, leaves: Leaves) -> Json:
        return value

    def read(self, raw: Json) -> Any:
        return raw


_RAW: Final = _Raw()


def _place(key: Any) -> str:
    return f"[{key}]"
