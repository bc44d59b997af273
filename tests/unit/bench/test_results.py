"""Rows of the bench are judged by their limits, and a part that runs alone loses no other's figures."""

import json
import math
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.results import Limit, Row, beside, least, most, show, write


def row(value: float, limit: Limit | None = None) -> Row:
    return Row("speed", value, "1/s", limit)


@pytest.mark.parametrize(
    ("value", "limit", "missed"),
    [
        (400.0, least(400), False),
        (399.9, least(400), True),
        (10.0, most(10), False),
        (10.1, most(10), True),
        (0.0, most(0), False),
        (1.0, most(0), True),
        (1.0, beside(400), False),
        (999.0, beside(400), False),
        (1.0, None, False),
        (math.nan, least(400), True),
        (math.nan, most(10), True),
    ],
)
def test_a_value_misses_what_it_must_reach_or_must_not_be_above(
    value: float, limit: Limit | None, missed: bool
):
    assert row(value, limit).missed is missed


def test_the_table_marks_what_misses_and_says_how_many_of_how_many(
    capsys: pytest.CaptureFixture[str],
):
    rows = [
        Row("fast", 500, "1/s", least(400)),
        Row("slow", 11, "s", most(10)),
        Row("bare", 1, "1/s", beside(400)),
        Row("raw", 1, "1/s"),
    ]

    assert show(rows) == 1

    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed if "MISSED" in line] == ["slow"]
    assert printed[-1] == "1 of 2 limits missed: slow"


def test_a_table_in_which_nothing_misses_says_so(capsys: pytest.CaptureFixture[str]):
    assert show([row(500, least(400)), row(1, beside(2))]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "0 of 1 limits missed"


def written(file: Path) -> list[tuple[str, float]]:
    return [(each["part"], each["value"]) for each in json.loads(file.read_text())]


def test_a_part_takes_the_place_of_its_own_rows_alone(tmp_path: Path):
    file = tmp_path / "build" / "bench.json"
    write("planes", [row(1), row(2)], file)
    write("restart", [row(3)], file)
    write("planes", [row(4)], file)

    assert sorted(written(file)) == [("planes", 4), ("restart", 3)]


def test_each_row_says_what_it_is_judged_by_and_when_it_was_measured(tmp_path: Path):
    file = tmp_path / "bench.json"
    write("planes", [row(200, least(400))], file)

    (found,) = json.loads(file.read_text())
    wanted = {"value": 200, "limit": 400, "judgement": "least", "ratio": 0.5, "missed": True}
    assert {key: found[key] for key in wanted} == wanted
    assert found["measured"].endswith("Z")
    assert "commit" in found


@pytest.mark.parametrize("before", ["", "[{", '[{"name": "of no part", "value": 1}]'])
def test_what_is_no_row_of_a_part_is_let_go(tmp_path: Path, before: str):
    file = tmp_path / "bench.json"
    file.write_text(before)
    write("planes", [row(1)], file)

    assert written(file) == [("planes", 1)]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts whose rows were written."""
    parts: list[str] = []
    monkeypatch.setattr(bench, "write", lambda part, _: parts.append(part))
    return parts


@pytest.mark.parametrize(("value", "status"), [(400.0, 0), (399.0, 1)])
def test_the_bench_fails_if_a_limit_is_missed(
    monkeypatch: pytest.MonkeyPatch, kept: list[str], value: float, status: int
):
    monkeypatch.setattr(bench, "_alone", lambda _: [row(value, least(400))])

    assert bench.main(["planes", "pure"]) == status
    assert kept == ["pure", "planes"]


def test_a_part_that_breaks_down_keeps_no_other_from_being_measured(
    monkeypatch: pytest.MonkeyPatch, kept: list[str], capsys: pytest.CaptureFixture[str]
):
    def measured(name: str) -> list[Row]:
        if name == "pure":
            raise AssertionError("it got stuck")
        return [row(500, least(400))]

    monkeypatch.setattr(bench, "_alone", measured)

    assert bench.main(["planes", "pure"]) == 1
    assert kept == ["planes"]
    said = capsys.readouterr()
    assert "broke down: pure" in said.out
    assert "it got stuck" in said.err


def test_a_part_that_is_unknown_is_not_measured(capsys: pytest.CaptureFixture[str]):
    assert bench.main(["plains"]) == 2
    assert capsys.readouterr().err.startswith("no such part: plains; there are pure, ")
