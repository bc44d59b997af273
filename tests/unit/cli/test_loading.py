"""What the command line loads before anybody has asked for anything, and that all of it can be loaded."""

import inspect
import subprocess
import sys

import pytest
from typer.core import TyperGroup

from sublet.cli.commands.lazy import load
from sublet.cli.commands.table import COMMANDS

_HEAVY = {
    "aiohttp", "asyncio", "kopf", "kubernetes", "msgspec", "obstore", "prometheus_client", "pyarrow", "pydantic",
    "rich", "sqlalchemy", "yaml",
}  # fmt: skip
_ASK = """
import contextlib, io, sys
from sublet.cli.main import app
for words in {asked!r}:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            app([*words, "--help"])
        except SystemExit as end:
            assert end.code == 0, words
    assert "Usage: " in said.getvalue(), words
    loaded = {heavy!r} & {{name.split(".")[0] for name in sys.modules}}
    assert not loaded, (words, loaded)
"""


def test_help_loads_nothing_heavy_and_no_command():
    program = "import sys; from sublet.cli.main import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # fmt: skip

    help_, _, modules = done.stdout.rpartition("\n  export")
    loaded = set(modules.split())
    assert "Say what a claim asked for" in help_
    assert {name.split(".")[0] for name in loaded} & _HEAVY == set()
    assert {name for name in loaded if name.startswith("sublet.cli.commands.")} == {
        "sublet.cli.commands.lazy",
        "sublet.cli.commands.table",
    }


def test_help_of_each_command_loads_nothing_heavy():
    asked = [
        [name, *inner]
        for name in COMMANDS
        for inner in ([], *([each] for each in getattr(load(name), "commands", ())))
    ]
    program = _ASK.format(asked=asked, heavy=_HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # fmt: skip

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["get", "top"])
def test_a_thousand_objects_are_shown_without_a_model_of_their_kind(module):
    program = f"import sys; import sublet.cli.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # fmt: skip

    loaded = set(done.stdout.split())
    assert "sublet.api.kinds" in loaded
    assert loaded & {"pydantic", "sublet.api.gpuclaim", "sublet.api.schema"} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_of_a_command_what_it_says_of_itself(name):
    found = load(name)
    first = inspect.cleandoc(found.help).splitlines()[0]

    assert (found.name, first) == (name, COMMANDS[name])
    assert isinstance(found, TyperGroup) or found.callback is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_the_operators_namespace_has_the_same_two_names_everywhere(name):
    found = load(name)
    named = [
        param.opts
        for command in (found, *getattr(found, "commands", {}).values())
        for param in command.params
        if param.name in ("namespace", "operator_namespace") and "-n" not in param.opts
    ]

    assert all(opts == ["--operator-namespace", "--namespace"] for opts in named)


def test_a_command_that_is_mistyped_is_answered_with_those_like_it():
    program = "import sys; sys.argv = ['sublet', 'verfy']; from sublet.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # fmt: skip

    assert done.returncode == 2
    assert done.stderr == "sublet: No such command 'verfy'. Did you mean 'verify'?; see sublet --help\n"  # fmt: skip
