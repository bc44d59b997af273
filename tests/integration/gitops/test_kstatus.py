"""kstatus itself, the library that Flux waits with, says of every state what the table of Ready says."""

import json
import subprocess

import pytest

from tests.builders.states import states
from tests.planes.binaries import find

STATES = {state.name: state for state in states()}


@pytest.fixture(scope="module")
def judged() -> dict[str, str]:
    """Return state -> what kstatus says of it."""
    bodies = json.dumps([state.body for state in STATES.values()])
    done = subprocess.run(
        [find("kstatus")], input=bodies, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return {n: x["status"] for n, x in zip(STATES, json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize("name", STATES)
def test_kstatus_says_what_the_table_says(judged: dict[str, str], name: str):
    assert judged[name] == STATES[name].kstatus
