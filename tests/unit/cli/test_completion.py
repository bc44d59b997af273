"""What a shell, or kubectl, is told when somebody presses Tab."""

import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sublet.cli.commands.table import COMMANDS

ROOT = Path(__file__).parents[3]
_HEAVY = {"aiohttp", "kopf", "kubernetes", "pyarrow", "sqlalchemy"}


@pytest.fixture
def sublet(tmp_path):
    """Return a folder with the programs that an installation puts on the PATH."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        words = f"import sys; from {module} import {function}; sys.argv[0] = {name!r}; {function}()"
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -c {shlex.quote(words)} "$@"\n')
        program.chmod(0o755)
    return tmp_path


def ran(folder, *command, **environment):
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, "PATH": path, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=given).stdout


def completed(folder, *words):
    """Return kubectl's answer: values, and what it is to do beside."""
    *lines, last = ran(folder, "kubectl_complete-sublet", *words).splitlines()
    return [line.partition("\t")[0] for line in lines], last


def test_kubectl_is_told_all_commands_with_a_line_of_help(sublet):
    *lines, last = ran(sublet, "kubectl_complete-sublet", "").splitlines()

    assert [line.partition("\t")[0] for line in lines] == list(COMMANDS)
    assert all(line.partition("\t")[2] for line in lines)
    assert last == ":4"


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("exp",), ["explain", "export"]),
        (("ledger", "he"), ["head"]),
        (("explain", "--na"), ["--namespace"]),
        (("explain", "--namespace", "acme", "-o", ""), ["table", "wide", "json", "yaml"]),
        (("usage", "--by", "t"), ["tenant"]),
    ],
)
def test_kubectl_is_told_what_may_come_next(sublet, words, values):
    assert completed(sublet, *words) == (values, ":4")


def test_where_a_file_is_meant_the_shell_completes_it(sublet):
    assert completed(sublet, "replay", "") == ([], ":0")


def test_bash_completes_with_the_script_that_is_printed(sublet):
    asked = (
        'eval "$(sublet completion bash)"; complete -p sublet; '
        "COMP_WORDS=(sublet ledger b); COMP_CWORD=2; _sublet_completion sublet; echo ${COMPREPLY[@]}"
    )
    first, last = ran(sublet, "bash", "-c", asked).splitlines()

    assert first == "complete -o default -F _sublet_completion sublet"
    assert last == "backup"


@pytest.mark.parametrize(
    ("shell", "begins", "asks", "answer"),
    [
        ("zsh", "#compdef sublet", {"_TYPER_COMPLETE_ARGS": "sublet ledger he"}, '_arguments \'*: :(("head":"'),
        ("fish", "complete --command sublet", {"_TYPER_COMPLETE_ARGS": "sublet ledger he", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, "head\t"),
    ],
)  # fmt: skip
def test_zsh_and_fish_have_scripts_and_are_answered_as_those_ask(
    sublet, shell, begins, asks, answer
):
    said = ran(sublet, "sublet", "completion", shell)

    assert said.startswith(begins)
    assert f"_SUBLET_COMPLETE=complete_{shell}" in said
    found = ran(sublet, "sublet", **asks, _SUBLET_COMPLETE=f"complete_{shell}")
    assert found.startswith(answer)


@pytest.mark.parametrize(
    "given", [{}, {"COMP_WORDS": "sublet"}, {"COMP_WORDS": "sublet", "COMP_CWORD": "x"}], ids=str
)
def test_words_that_no_shell_gives_are_one_line(sublet, given):
    environment = {**os.environ, "_SUBLET_COMPLETE": "complete_bash", **given}
    done = subprocess.run([sublet / "sublet"], capture_output=True, text=True, check=False, env=environment)  # fmt: skip

    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("sublet: nothing is completed: the words aren't given as a shell gives")


def test_completion_loads_no_client_and_no_database():
    words = "import sys; from sublet.cli.completion import for_kubectl; for_kubectl(['margin', '--by', '']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)

    assert {name.split(".")[0] for name in done.stdout.split()} & _HEAVY == set()
