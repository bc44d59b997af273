"""The checks can fail: our own code, broken on purpose, is found within so many seeds; and two guards each hold alone."""

import re

import pytest

from tests.simulation.test_histories import simulate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_SEEDS = "200"
_FIRST = {  # mutant -> the seed that showed it last; which one does changes with any code, so others follow
    "lock-without-test": 15,
    "release-without-look": 3,
    "release-without-guard": 67,
    "name-for-uid": 32,
    "bill-from-now": 1,
    "second-writer": 23,
    "sale-by-books": 19,
    "trust-in-old-hub": 4,
}


@pytest.mark.parametrize(
    ("mutant", "rule"),
    [
        ("lock-without-test", "S1"),
        ("release-without-look", "S6"),
        ("release-without-guard", "A1"),
        ("name-for-uid", "S8"),
        ("bill-from-now", "A1"),
        ("second-writer", "A1"),
        ("sale-by-books", "S1"),
        ("trust-in-old-hub", "S9"),
    ],
)
def test_a_broken_operator_is_found(mutant: str, rule: str):
    assert seed_of(mutant, rule) > 0


def test_the_lock_holds_without_the_belt():
    status, said = simulate("--mutant", "belt-off", "--count", "40")

    assert status == 0, said


def test_the_belt_holds_where_the_lock_without_its_test_fails():
    seed = seed_of("lock-without-test", "S1")
    first = str(max(1, seed - 8))
    mutant = "lock-without-test-belt-on"
    status, said = simulate("--mutant", mutant, "--first", first, "--count", "16")

    assert status == 0, said


def seed_of(mutant: str, rule: str) -> int:
    """Return the first seed whose history shows that an operator is broken so; AssertionError if none does."""
    seeds = ("--first", str(_FIRST[mutant]), "--count", _SEEDS, "--workers", "1")
    status, said = simulate("--mutant", mutant, *seeds, "--until-found", rule)
    found = re.search(rf"^seed (\d+): (verify )?{rule}\b", said, re.MULTILINE)

    assert status == 1, said
    assert found, said
    return int(found[1])
