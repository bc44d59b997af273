"""The demo holds, and README's "Ten minutes" is what it prints."""

import subprocess
import sys

import pytest

from tests.planes.binaries import ROOT

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]


def test_every_step_holds_and_readme_shows_what_is_printed():
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every step held" in done.stdout
