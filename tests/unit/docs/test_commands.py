"""Every command in README and docs/ is one that the program takes today, and one that a test runs."""

import json
import re
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from tests.builders.commands import Command, commands, mentions, refused, unknown_words
from tests.builders.crds import unknown_fields
from tests.planes.binaries import ROOT
from tests.unit.docs.covered import NOT_RUN, PLAYED, RUN

ALL = commands()
OURS = {"gpuclaim": "GpuClaim", "gpulease": "GpuLease", "gputenant": "GpuTenant", "gpuclass": "GpuClass"}  # fmt: skip


def of(program: str) -> list[Command]:
    return [c for c in ALL if c.words[0].rsplit("/", 1)[-1] == program]


@pytest.mark.parametrize("command", of("sublet"), ids=lambda c: c.where)
def test_the_program_takes_what_a_page_says(command: Command):
    assert refused(command.words) == ""


def test_whoever_adjusts_the_ledger_on_a_page_says_who_that_is():
    adjusting = [c for c in ALL if {"ledger", "adjust"} <= set(c.words)]

    assert adjusting
    assert [c.where for c in adjusting if "--by" not in c.words] == []


@pytest.mark.parametrize(("page", "code"), sorted(set(mentions())))
def test_what_a_sentence_mentions_is_there(page: str, code: str):
    assert unknown_words(code) == [], page


@pytest.mark.parametrize("command", of("make"), ids=lambda c: c.where)
def test_every_target_is_in_the_makefile(command: Command):
    makefile = (ROOT / "Makefile").read_text()

    for word in command.words[1:]:
        if "=" in word:
            assert re.search(rf"\b{word.split('=')[0]}\b", makefile)
        else:
            assert re.search(rf"^{word}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("command", of("python"), ids=lambda c: c.where)
def test_every_module_that_is_run_is_there(command: Command):
    assert command.words[1] == "-m"
    assert find_spec(f"{command.words[2]}.__main__") or find_spec(command.words[2])


@pytest.mark.parametrize("command", of("kubectl"), ids=lambda c: c.where)
def test_a_file_of_ours_is_there_and_a_patch_has_fields_of_the_api(command: Command):
    words = command.words
    for flag, value in pairwise(words):
        if flag in ("-f", "--patch-file") and value.startswith("examples/"):
            assert (ROOT / value).exists()
        if flag == "-p":
            kind = next(OURS[w] for w in words if w in OURS)
            assert unknown_fields(kind, json.loads(value)) == []


def _covering(command: Command) -> tuple[str, ...]:
    """Return what runs a command; AssertionError if nothing does."""
    words = command.bare
    if words[0] == "python":
        words = ("python", "-m", *words[1:])
    for length in range(len(words), 0, -1):
        key = " ".join(words[:length])
        if key in NOT_RUN:
            return ()
        if key in RUN:
            return RUN[key]
    raise AssertionError(f"{command.where}: no test runs it; see tests/unit/docs/covered.py")


@pytest.mark.parametrize("command", [c for c in ALL if c.page not in PLAYED], ids=lambda c: c.where)
def test_every_command_is_run_somewhere(command: Command):
    files = _covering(command)
    texts = [(ROOT / path).read_text() for path in files]
    if command.words[0] != "sublet":
        return
    options = {o for o in command.options if o not in ("-n", "-o")}
    assert {o for o in options if not any(f'"{o}"' in text for text in texts)} == set()


@pytest.mark.parametrize(("key", "path"), [(k, p) for k, paths in RUN.items() for p in paths])
def test_what_is_said_to_run_a_command_has_its_word(key: str, path: str):
    text = (ROOT / path).read_text()
    program, *words = key.split()
    word = words[0] if program in ("kubectl", "focus-toolkit") else words[-1]

    assert re.search(rf'"{re.escape(word)}"|\.{re.escape(word)}\(|\b{re.escape(key)}\b', text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sublet nonsense", "No such command"),
        ("sublet onboard --contxt west", "No such option"),
        ("sublet ledger adjust acme", "Missing argument"),
        ("sublet margin --by planet", "planet"),
        ("sublet explain train", ""),
    ],
)
def test_a_command_that_the_program_doesnt_take_is_found(words: str, said: str):
    assert said in refused(tuple(words.split()))
    assert bool(refused(tuple(words.split()))) is bool(said)


@pytest.mark.parametrize(
    ("code", "unknown"),
    [
        ("sublet onbord", ["onbord"]),
        ("sublet ledger verify --hed LINE:HASH", ["--hed"]),
        ("sublet ledger verify --head LINE:HASH", []),
        ("kubectl sublet kubeconfig CLAIM", []),
    ],
)
def test_a_mention_of_what_isnt_there_is_found(code: str, unknown: list[str]):
    assert unknown_words(code) == unknown


def test_a_patch_with_a_field_that_isnt_there_is_found():
    assert unknown_fields("GpuLease", {"spec": {"lostt": {}}}) == ["GpuLease.spec.lostt isn't in the CRD"]  # fmt: skip


def test_the_pages_have_commands_at_all():
    assert len(of("sublet")) > 30
    assert {Path(c.page).parts[0] for c in ALL} == {"README.md", "docs"}
