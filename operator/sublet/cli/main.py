"""The program: a group of commands, and how it ends. It loads no command before one is called."""

import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]  # the library does not list it

from sublet.cli.commands.lazy import PLAIN, LazyGroup
from sublet.cli.problems import fail
from sublet.cli.standard_output import Unwritten, standard_output

_INTERRUPTED: Final = 130
"""What shells expect of a program that Ctrl-C ended."""

_UNWRITTEN: Final = 2
"""1 would be a verdict of `verify`, which nobody could read."""

COMPLETE: Final = "_SUBLET_COMPLETE"
"""The variable in which a shell says that it wants completions."""

app = typer.Typer(name="sublet", cls=LazyGroup, **PLAIN)


@app.callback()
def _program() -> None:
    """Subleased GPU pools: see, claim and bill GPUs over many leased clusters.

    Tenants need quote, claim, explain, kubeconfig, extend, release and statement; the platform team has the rest. `sublet
    COMMAND --help` says more. Also a kubectl plugin: kubectl sublet.
    """


def main() -> None:
    """Run the command line to its end, which is a process's end."""
    logging.getLogger().addHandler(logging.NullHandler())  # libraries' words aren't for the user
    program = Path(sys.argv[0]).name.replace("kubectl-", "kubectl ")
    if sys.stdout is None:
        fail("standard output is closed: there is nowhere to write to", status=_UNWRITTEN)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal knows every character
    if COMPLETE in os.environ:
        completion_init()
    try:
        with standard_output():
            status = app(
                sys.argv[1:] or ["--help"],
                prog_name=program,
                complete_var=COMPLETE,
                standalone_mode=False,
            )
    except typer.TyperException as error:
        ctx = getattr(error, "ctx", None)
        said = error.format_message().removesuffix(".").replace("Value error, ", "")
        fail(f"{said}; see {ctx.command_path if ctx else program} --help", status=error.exit_code)
    except (KeyError, ValueError) as error:
        if not os.environ.get(COMPLETE):
            raise
        fail(f"nothing is completed: the words aren't given as a shell gives them: {error}")
    except typer.Abort:
        status = _INTERRUPTED
    except (Unwritten, OSError) as error:
        _write_no_more()
        why = error.__cause__ or error
        if not isinstance(why, BrokenPipeError):
            words = getattr(why, "strerror", None) or why
            fail(f"the output can't be written: {words}", status=_UNWRITTEN)
        status = _UNWRITTEN  # whoever read our output has seen enough
    sys.exit(status)


def _write_no_more() -> None:
    """Let what is left go nowhere, and quietly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
