"""Guards of the tree's shape and of pages that must agree with the code."""

import os
import subprocess
import sys

import pytest

from tests.planes.binaries import ROOT


@pytest.mark.parametrize("folder", [".", "operator"])
def test_the_folder_operator_never_shadows_pythons_own_module(folder):
    command = [sys.executable, "-c", "import operator; print(operator.itemgetter(0)('a'))"]
    done = subprocess.run(command, cwd=ROOT / folder, capture_output=True, text=True, check=False)

    assert done.stdout == "a\n", done.stderr
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not list((ROOT / "operator").rglob("operator.py"))


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


def test_whoever_gives_the_operator_a_command_is_told_which_program_takes_it():
    environment = {**os.environ, "KUBECONFIG": "/nowhere"}
    command = [sys.executable, "-m", "sublet", "backup", "hub.backup"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "sublet: this is the operator, which takes no arguments; the command line is the program `sublet` "
        "(in a pod `command: [sublet, …]`, as `args` alone come here)\n"
    )
