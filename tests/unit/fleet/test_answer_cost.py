"""What the largest answer of a landlord costs, whatever it is made of: some times its bytes, never twenty."""

import json
import subprocess
import sys

import pytest

from tests.harness.answer_cost import READERS
from tests.planes.binaries import ROOT

MOST_MB = 200
"""An answer of 32 MB, read in pieces and joined; and the largest object of it, decoded."""


@pytest.fixture(scope="module")
def costs() -> dict[str, dict[str, int]]:
    command = [sys.executable, "-m", "tests.harness.answer_cost"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("reader", READERS)
def test_no_answer_takes_more_memory_than_the_operator_has(
    costs: dict[str, dict[str, int]], reader: str
):
    assert {lie: mb for lie, mb in costs[reader].items() if mb > MOST_MB} == {}
