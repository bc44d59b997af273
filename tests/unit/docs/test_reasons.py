"""The page of reasons has every word that leases, classes and tenants say of themselves, and none that nobody says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sublet.api import origin, reading
from sublet.book.inventory import Unfit
from sublet.cli.keeping import adopt, restore
from sublet.drift import orphans
from sublet.fleet import conditions, counts, facts, lost
from sublet.hub import in_use, writer
from tools.docsgen.reasons import CLASSES, LEASES, TENANTS, UNSELLABLE, reasons_page

SAYING = (conditions, counts, lost, in_use, writer)
"""Where reasons are said, and nothing else is that is written like one."""
OTHERS = (origin, reading, orphans, facts, restore, adopt)
"""Where some of them are written down."""
_WORD = re.compile(r"([A-Z][a-z]+)+")


def words(module: ModuleType) -> Iterator[str]:
    """Yield what is written like a reason in a module."""
    for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text())):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and _WORD.fullmatch(node.value)
        ):
            yield node.value


@pytest.mark.parametrize("module", SAYING, ids=lambda module: module.__name__)
def test_what_is_said_is_on_the_page(module: ModuleType):
    told = set(re.findall(r"`(\w+)`", reasons_page()))

    assert set(words(module)) - told == set()


def test_each_fate_of_an_orphan_is_on_the_page():
    fates = {f"True.{fate.value}" for fate in orphans.Fate} - {"True.None"}

    assert fates <= LEASES["Orphaned"].keys()


def test_what_is_on_the_page_is_said_somewhere():
    said = {word for module in (*SAYING, *OTHERS) for word in words(module)}
    kinds = (LEASES, CLASSES, TENANTS)
    told = {key.rpartition(".")[2] for kind in kinds for of in kind.values() for key in of}

    assert told - said == set()
    assert UNSELLABLE.keys() - {reason.value for reason in Unfit} <= said
