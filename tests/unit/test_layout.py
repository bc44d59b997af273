"""Guards of the tree's shape and of pages that must agree with the code."""

import subprocess
import sys

import pytest

from sublet.settings import Settings
from tests.planes.binaries import ROOT


@pytest.mark.parametrize("folder", [".", "operator"])
def test_the_folder_operator_never_shadows_pythons_own_module(folder):
    command = [sys.executable, "-c", "import operator; print(operator.itemgetter(0)('a'))"]
    done = subprocess.run(command, cwd=ROOT / folder, capture_output=True, text=True, check=False)

    assert done.stdout == "a\n", done.stderr
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not list((ROOT / "operator").rglob("operator.py"))


def test_every_setting_is_in_the_documentation_with_its_default():
    page = (ROOT / "docs" / "settings.md").read_text()

    for name, field in Settings.model_fields.items():
        line = next(x for x in page.splitlines() if f"`SUBLET_{name.upper()}`" in x)
        assert name == "identity" or field.default is None or f"`{field.default}`" in line


def test_an_unknown_setting_is_one_line_and_exit_status_2():
    environment = {"PATH": "/usr/bin", "SUBLET_DATABSE_URL": "sqlite:///x"}
    command = [sys.executable, "-m", "sublet"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert (
        done.stderr
        == "sublet: unknown setting SUBLET_DATABSE_URL; the settings are listed in docs/settings.md\n"
    )
