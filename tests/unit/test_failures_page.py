"""Every line of the failure matrix has tests that are there, and no line is missing."""

import ast
import re

import pytest

from tests.faults.workloads import ALL
from tests.planes.binaries import ROOT

LINES = 48
_ROW = re.compile(r"^\| (\d+) \| ")
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
_PLANS = re.compile(r"plans ((?:`[\w-]+`(?:, )?)+)")


def rows() -> dict[int, str]:
    """Return number -> row."""
    page = (ROOT / "docs" / "failures.md").read_text().splitlines()
    return {int(found[1]): line for line in page if (found := _ROW.match(line))}


def functions(path: str) -> set[str]:
    """Return the test functions of a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return {n.name for n in tree.body if isinstance(n, kinds)}


def test_no_line_is_missing():
    assert list(rows()) == list(range(1, LINES + 1))


@pytest.mark.parametrize("number", range(1, LINES + 1))
def test_what_tries_a_line_is_there(number: int):
    row = rows()[number]
    tests = _TEST.findall(row)

    assert tests
    assert [t for t in tests if t[1] not in functions(t[0])] == []
    plans = {name for group in _PLANS.findall(row) for name in re.findall(r"`([\w-]+)`", group)}
    assert plans <= ALL.keys()


def test_every_workload_is_in_it():
    told = {name for row in rows().values() for group in _PLANS.findall(row) for name in re.findall(r"`([\w-]+)`", group)}  # fmt: skip
    assert told == ALL.keys()
