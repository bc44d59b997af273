"""The checks can fail: our own code, broken on purpose, is found within so many seeds; and two guards each hold alone."""

import pytest

from tests.simulation.test_histories import simulate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("mutant", "seeds", "found"),
    [
        ("lock-without-test", 40, "S1"),
        ("release-without-look", 10, "S6"),
        ("release-without-guard", 40, "A1"),
        ("name-for-uid", 20, "L3"),
        ("bill-from-now", 5, "A1"),
        ("second-writer", 10, "A1"),
    ],
)
def test_a_broken_operator_is_found(mutant: str, seeds: int, found: str):
    status, said = simulate("--mutant", mutant, "--count", str(seeds), "--until-found")

    assert status == 1, said
    assert f": {found}: " in said


@pytest.mark.parametrize("control", ["belt-off", "lock-without-test-belt-on"])
def test_one_guard_is_enough(control: str):
    status, said = simulate("--mutant", control, "--count", "16")

    assert status == 0, said
