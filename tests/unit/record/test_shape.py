"""Any field that may come to a view is either carried along whole or an error at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any, NewType

import pytest
from pydantic import BaseModel, Field, PrivateAttr

from sublet.record.codec import AS_IT_IS, RecordError
from sublet.record.shape import codec_of

Uid = NewType("Uid", str)


class Colour(StrEnum):
    RED = "Red"


class Level(IntEnum):
    LOW = 1


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str


@dataclass(frozen=True, slots=True)
class Twig:
    size: int
    leaf: Leaf | None = None


class Model(BaseModel):
    some_words: tuple[Annotated[str, Field(max_length=9)], ...] = Field(alias="someWords")


@dataclass(frozen=True)
class Everything:
    uid: Uid
    colour: Colour
    level: Level
    model: Model
    either: Leaf | Twig | None
    several: tuple[Leaf | Twig, ...]
    pair: tuple[Uid, int]
    shares: Mapping[tuple[Uid, Colour], Decimal]
    by_colour: dict[Colour, list[int]]
    names: frozenset[str]
    rate: float = 0.5
    none: str | None = None
    empty: Mapping[int, Leaf] = field(default_factory=dict)


WHOLE = Everything(
    uid=Uid("u"),
    colour=Colour.RED,
    level=Level.LOW,
    model=Model(someWords=("a", "b")),
    either=Twig(1, Leaf("x")),
    several=(Leaf("y"), Twig(2)),
    pair=(Uid("v"), 3),
    shares={(Uid("z"), Colour.RED): Decimal("1E+2"), (Uid("a"), Colour.RED): Decimal("0.10")},
    by_colour={Colour.RED: [1, 2]},
    names=frozenset({"b", "a", "c"}),
)


def test_all_that_a_field_may_be_comes_back_as_it_was():
    codec = codec_of(Everything)
    raw = codec.write(WHOLE, AS_IT_IS)

    assert codec.read(raw) == WHOLE
    assert str(codec.read(raw).shares) == str(WHOLE.shares)
    assert raw["either"] == {"kind": "Twig", "leaf": {"name": "x"}, "size": 1}
    assert raw["names"] == ["a", "b", "c"]
    assert raw["shares"] == [[["z", "Red"], "1E+2"], [["a", "Red"], "0.10"]]
    assert raw["model"] == {"someWords": ["a", "b"]}


EMPTY = Model.model_construct(**dict.fromkeys(()))
"""As nothing that validates would make it."""


def declared(hint: Any) -> type:
    return dataclass(type("Made", (), {"__annotations__": {"thing": hint}}))


class Hiding(BaseModel):
    _more: int = PrivateAttr(0)


@dataclass
class Tagged:
    kind: str


@pytest.mark.parametrize(
    "hint", [datetime, object, Any, complex, bytes, int | str, Hiding, Leaf | Tagged, type[int]]
)
def test_a_type_that_nobody_has_taught_is_an_error_that_names_the_field(hint):
    with pytest.raises(RecordError, match=r"^Made\.thing: "):
        codec_of(declared(hint))


@pytest.mark.parametrize(
    ("hint", "value", "said"),
    [
        (str, 5, "thing: str wanted, int found"),
        (int, True, "thing: int wanted, bool found"),
        (float, float("nan"), "thing: nan is no number"),
        (Decimal, 5, "thing: finite Decimal wanted, int found"),
        (Decimal, Decimal("Infinity"), "thing: finite Decimal wanted, Decimal found"),
        (Colour, "Red", "thing: Colour wanted, str found"),
        (Leaf, Twig(1), "thing: Leaf wanted, Twig found"),
        (Leaf | Twig, "leaf", "thing: Leaf or Twig wanted, str found"),
        (tuple[Leaf, ...], (Leaf("a"), None), "thing[1]: Leaf wanted, NoneType found"),
        (tuple[int, int], (1,), "thing: tuple of 2 wanted, tuple found"),
        (tuple[str, ...], "abc", "thing: tuple wanted, str found"),
        (frozenset[str], ["a"], "thing: set wanted, list found"),
        (dict[str, Leaf], {"a": 1}, "thing[a]: Leaf wanted, int found"),
        (dict[str, int], [], "thing: mapping wanted, list found"),
        (Model, EMPTY, "thing.someWords: the field was never set"),
    ],
)
def test_a_value_that_isnt_what_was_declared_is_an_error(hint, value, said):
    kind = declared(hint)
    with pytest.raises(RecordError) as caught:
        codec_of(kind).write(kind(value), AS_IT_IS)

    assert str(caught.value) == said


def test_a_subclass_would_lose_its_fields_and_is_an_error():
    @dataclass(frozen=True)
    class Wide(Leaf):
        width: int = 0

    with pytest.raises(RecordError, match="Leaf wanted, Wide found"):
        codec_of(Leaf).write(Wide("a"), AS_IT_IS)


@pytest.mark.parametrize(
    ("field_name", "raw", "said"),
    [
        ("names", ["a", "a"], "names: a value stands twice in a set"),
        ("shares", [[["z", "Red"], "1"]] * 2, "shares: a key stands twice"),
        ("shares", [[["z", "Red"]]], "shares[0]: 1 values instead of 2"),
        ("pair", ["v"], "pair: 1 values instead of 2"),
        ("either", {"size": 1}, "either: kind is none of Leaf, Twig"),
        ("by_colour", {"Blue": []}, "by_colour: 'Blue' is no Colour"),
    ],
)
def test_json_that_isnt_what_was_declared_is_an_error(field_name, raw, said):
    codec = codec_of(Everything)
    whole = codec.write(WHOLE, AS_IT_IS)
    with pytest.raises(RecordError) as caught:
        codec.read({**whole, field_name: raw})

    assert str(caught.value) == said
