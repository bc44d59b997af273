"""From declared types to codecs: dataclasses and pydantic models as they stand, so that a new field needs no change here.

A type that nobody has taught to be written is an error when the codec is made, before there is any value of it.
"""

import types
from collections.abc import Mapping, Sequence, Set as AbstractSet
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from sublet.record.codec import Codec, RecordError
from sublet.record.composites import TAG, Fixed, Group, Maybe, OneOf, Row, Struct, Table
from sublet.record.scalars import Amount, Choice, Plain, Text

_NONE: Final = type(None)


def codec_of(kind: type) -> Codec:
    """Return the codec of a type; RecordError names the field that can't be written."""
    return _codec(kind, "")


def _codec(hint: Any, name: str) -> Codec:
    """Return the codec of a type as it stands in a field of that name."""
    hint = _bare(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(inner, name)
    if origin in (tuple, list, Sequence):
        return _row(origin, inner, name)
    if origin in (set, frozenset, AbstractSet):
        return Group(_codec(inner[0], name))
    if origin in (dict, Mapping):
        return Table(_codec(inner[0], name), _codec(inner[1], name))
    if origin is not None or not isinstance(hint, type):
        raise RecordError(f"values of type {hint} can't be recorded")
    return _scalar(hint, name)


def _scalar(kind: type, name: str) -> Codec:
    if kind in (bool, int, float):
        return Plain(kind)
    if kind is str:
        return Text(name)
    if kind is Decimal:
        return Amount()
    if issubclass(kind, Enum):
        return Choice(kind)
    if is_dataclass(kind) or issubclass(kind, BaseModel):
        return _struct(kind)
    raise RecordError(f"values of type {kind.__name__} can't be recorded")


def _bare(hint: Any) -> Any:
    """Return the type under annotations and new names."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        else:
            return hint


def _union(inner: tuple[Any, ...], name: str) -> Codec:
    several = [each for each in inner if each is not _NONE]
    if len(several) == 1:
        found = _codec(several[0], name)
    else:
        structs = {each.__name__: codec for each in several if (codec := _tagged(each, name))}
        found = OneOf(structs)
    return Maybe(found) if _NONE in inner else found


def _tagged(kind: Any, name: str) -> Struct:
    found = _codec(kind, name)
    if not isinstance(found, Struct):
        raise RecordError(f"{kind} can't be told apart from what else may stand here")
    if any(field == TAG for _, field, _ in found.fields):
        raise RecordError(f"{kind.__name__} has a field {TAG}, which names the class")
    return found


def _row(origin: Any, inner: tuple[Any, ...], name: str) -> Codec:
    if origin is tuple and inner[1:] != (...,):
        return Fixed(tuple(_codec(each, name) for each in inner))
    return Row(_codec(inner[0], name), list if origin is list else tuple)


@cache
def _struct(kind: type) -> Struct:
    if issubclass(kind, BaseModel):
        found, its_fields = Struct(kind, kind.model_construct), _model_fields(kind)
    else:
        found, its_fields = Struct(kind, kind), _fields(kind)
    for attribute, field, hint in its_fields:
        try:
            found.fields.append((attribute, field, _codec(hint, attribute)))
        except RecordError as error:
            raise error.inside(f"{kind.__name__}.{attribute}") from None
    found.fields.sort(key=lambda each: each[1])
    return found


def _model_fields(kind: type[BaseModel]) -> list[tuple[str, str, Any]]:
    """Return attribute, name on the wire and type of a model's fields."""
    # what a newer version wrote beside the fields decides nothing here, and isn't recorded
    if kind.__private_attributes__:
        raise RecordError(f"{kind.__name__} holds more than its fields")
    return [
        (name, field.alias or name, field.annotation) for name, field in kind.model_fields.items()
    ]


def _fields(kind: Any) -> list[tuple[str, str, Any]]:
    hints = get_type_hints(kind)
    if any(not field.init for field in fields(kind)):
        raise RecordError(f"{kind.__name__} has fields that it doesn't take")
    return [(field.name, field.name, hints[field.name]) for field in fields(kind)]
