"""What the CRDs let through as an instant can be read, or one price in a list would stop its lease from being planned."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from pydantic import TypeAdapter

from sublet.api.common import Instant
from sublet.api.kinds import ALL_KINDS, Kind
from sublet.api.models import MODELS
from sublet.api.times import FIRST_MS, LAST_MS, Millis, format_instant, parse_instant
from sublet.crdgen.schema import structural_schema

SCHEMA = TypeAdapter(Instant).json_schema()
TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))")
GOOD_AND_ODD = (
    (["0001", "1900", "2024", "9999"], ["0000", "0004", "026", "12026", "٢٠٢٦"]),
    (["-01-01", "-12-31", "-02-28"], ["-02-29", "-00-10", "-13-01", "-W01-1", "0101"]),
    (["T"], ["t", " ", "", "tT"]),
    (["00:00", "23:59"], ["24:00", "12:60", "12", "1200"]),
    ([":00", ":59"], [":60", ":5", ""]),
    (["", ".5", ".123456789123"], [",5", "x5", "12", ".", ".5.5", "." + "1" * 50]),
    (["Z", "+00:00", "+14:00", "-11:30"], ["z", "", " Z", "Z\n", "Ztomorrow", "-00:00", "+23:59", "-23:59", "+24:00", "+10:60", "+00:00:30"]),
)  # fmt: skip


def with_an_odd_part(number: int) -> st.SearchStrategy[str]:
    parts = [pair[index == number] for index, pair in enumerate(GOOD_AND_ODD)]
    return st.tuples(*(st.sampled_from(part) for part in parts)).map("".join)


def is_date_time(text: str) -> bool:
    """Say whether an API server calls a text a date-time: its check, written anew."""
    day, *rest = text.lower().split("t")
    time = TIME.fullmatch(rest[0]) if rest else None
    return is_date(day) and time is not None and time[1] <= "23" and max(time[2], time[3]) <= "59"


def is_date(text: str) -> bool:
    """Say whether a text is a day of a year from 0 to 9999."""
    found = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", text)
    try:
        return found is not None and bool(date(int(found[1]) or 4, int(found[2]), int(found[3])))
    except ValueError:
        return False


def is_taken(text: str) -> bool:
    fits = re.fullmatch(SCHEMA["pattern"], text) is not None
    return fits and is_date_time(text) and len(text) <= SCHEMA["maxLength"]


@given(st.one_of(*map(with_an_odd_part, range(len(GOOD_AND_ODD)))))
@example("2026-01-01T00:00:00z")
@example("2026-01-01t00:00:00Z")
@example("0000-01-01T00:00:00Z")
@example("2026-01-01T00:00:00+24:00")
@example("9999-12-31T23:59:59-01:00")
@example("0001-01-01T00:00:00+01:00")
@example("2026-01-01T00:00:00x5Z")
@example("2026-01-01T00:00:0012Z")
@example("2026-01-01T00:00:00Ztomorrow")
def test_a_text_is_refused_by_the_crd_or_can_be_read(text: str):
    if is_taken(text):
        assert FIRST_MS <= parse_instant(text) <= LAST_MS


@given(st.integers(FIRST_MS, LAST_MS))
@example(FIRST_MS)
@example(LAST_MS)
def test_every_instant_that_is_written_is_taken(at_ms: int):
    assert is_taken(format_instant(Millis(at_ms)))


def instants_of(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the description of every instant in a schema."""
    if schema.get("format") == "date-time":
        yield path, schema.get("description", "")
    for name, child in schema.get("properties", {}).items():
        yield from instants_of(child, f"{path}.{name}")
    if "items" in schema:
        yield from instants_of(schema["items"], f"{path}[]")


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.name)
def test_every_instant_that_a_person_writes_is_explained_by_one_with_its_zone(kind: Kind):
    """A server that refuses what has no zone shows a pattern and the words date-time, and no example."""
    described = dict(instants_of(structural_schema(MODELS[kind.name], "spec"), kind.name))

    assert [path for path, text in described.items() if "as 2026-10-01T00:00:00Z" not in text] == []


@given(with_an_odd_part(-1))
def test_what_rfc_3339_has_is_taken(text: str):
    assert is_taken(text)
