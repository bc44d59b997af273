"""How the program ends when its output can't be written: one line, and never a traceback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.cli_stage import stage

PROGRAM = "import sys; sys.argv = ['sublet', *sys.argv[1:]]; from sublet.cli import main; main()"


def run(*arguments: str, redirect: str = "", **variables: str) -> tuple[int, bytes, str]:
    """Return exit status, what was printed, and what was said on standard error."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    if redirect:
        command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *command]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, check=False)  # fmt: skip
    return done.returncode, done.stdout, done.stderr.decode()


READING = ["get claims -A", "book -o json", "verify --patience 0", "ledger verify"]
"""Of the last two, exit status 1 is a verdict."""


@pytest.fixture(scope="module")
def sold() -> Iterator[dict[str, str]]:
    """Return the variables that lead to a small hub and to a whole ledger."""
    with stage():
        yield {
            "KUBECONFIG": f"{Path.cwd()}/kubeconfig",
            "SUBLET_DATABASE_URL": f"sqlite:///{Path.cwd()}/ledger.sqlite",
        }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is none on this system")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", ["version", "--help", *READING])
def test_a_full_disk_is_one_line(sold: dict[str, str], command: str, unbuffered: str):
    status, _, said = run(*command.split(), redirect="> /dev/full", PYTHONUNBUFFERED=unbuffered, **sold)  # fmt: skip

    assert status == 2
    assert said == "sublet: the output can't be written: No space left on device\n"


def test_without_a_standard_output_nothing_is_done():
    status, _, said = run("version", redirect=">&-")

    assert status == 2
    assert said == "sublet: standard output is closed: there is nowhere to write to\n"


def test_a_character_that_the_terminal_doesnt_know_is_replaced():
    status, printed, said = run("--help", PYTHONIOENCODING="latin-1")

    assert (status, said) == (0, "")
    assert b"Usage: sublet" in printed
    assert run("get", "--help", PYTHONIOENCODING="latin-1")[0] == 0


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", ["version", "--help", *READING])
def test_whoever_has_seen_enough_ends_it_quietly_and_without_a_verdict(
    sold: dict[str, str], command: str, unbuffered: str
):
    nobody, end = os.pipe()
    os.close(nobody)
    variables = {**os.environ, **sold, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([sys.executable, "-c", PROGRAM, *command.split()], stdout=end, stderr=subprocess.PIPE, env=variables, check=False)  # fmt: skip
    os.close(end)

    assert (done.returncode, done.stderr) == (2, b"")
