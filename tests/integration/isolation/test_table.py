"""Every line of the attack table has its tests, every test file is in it, and the page says the same."""

import ast

import pytest

from tests.integration.isolation.page import PAGE, ROOT, path_of, written_into
from tests.integration.isolation.table import TABLE, Attack

REFERENCE_LINES = 18
"""Lines of the design's table; ours come after them."""
CONTROL = "    runs("
"""What a test file calls to see a tenant's own pod on a node of its claim."""


def functions(path: str) -> set[str]:
    """Return the test functions of a file."""
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {n.name for n in tree.body if isinstance(n, kinds) and n.name.startswith("test_")}


@pytest.mark.parametrize("attack", TABLE, ids=lambda a: a.what)
def test_every_attack_is_tried(attack: Attack):
    assert attack.tests
    for file, name in attack.tests:
        assert name in functions(path_of(file)), f"{file} has no {name}"


def test_no_line_of_the_designs_table_is_missing():
    assert len(TABLE) >= REFERENCE_LINES
    assert len({a.what for a in TABLE}) == len(TABLE)


def test_every_attack_that_is_tried_is_in_the_table():
    """Controls, checks of the tests themselves and what the operator asks of its own fence apart."""
    own = {
        (file.name, name)
        for file in (ROOT / "tests/integration/isolation").glob("test_*.py")
        for name in functions(str(file.relative_to(ROOT)))
    }
    listed = {(path_of(f).rsplit("/", 1)[-1], name) for a in TABLE for f, name in a.tests}
    files = {file for file, _ in own} - {"test_table.py", "test_access.py"}

    assert {file for file, _ in listed} >= files


def test_the_page_shows_the_table():
    text = PAGE.read_text()

    assert text == written_into(text)


def test_beside_attacks_on_a_cluster_the_tenants_own_pod_runs():
    """What scans the traces of a whole life attacks nothing."""
    files = {path_of(f) for a in TABLE for f, _ in a.tests if "/" not in f}
    without = {f for f in files if CONTROL not in (ROOT / f).read_text()}

    assert without == {path_of("test_no_secrets.py")}
