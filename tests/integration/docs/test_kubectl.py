"""Every kubectl command in README and docs/ has a verb and options that kubectl itself knows."""

import subprocess
from functools import cache

import pytest

from tests.builders.commands import Command, commands
from tests.planes.binaries import find


@cache
def said(*words: str) -> str:
    """Return what kubectl says of itself."""
    done = subprocess.run([find("kubectl"), *words], capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize(
    "command", [c for c in commands() if c.words[0] == "kubectl"], ids=lambda c: c.where
)
def test_kubectl_knows_the_verb_and_the_options(command: Command):
    verb, *rest = command.bare[1:]
    assert f"kubectl {verb} " in said(verb, "--help")

    # some verbs have verbs of their own, as `create secret generic`; of others kubectl says the same again
    known = said(verb, "--help") + said("options")
    known += "".join(said(verb, *rest[:n], "--help") for n in (1, 2) if len(rest) >= n)
    assert {o for o in command.options if f" {o}=" not in known and f" {o}," not in known} == set()
