"""Completion of commands, options and their values: in bash, zsh and fish for `sublet`, and for `kubectl sublet`.

The library makes the scripts and the answers. kubectl has a protocol of its own: it runs `kubectl_complete-sublet`
from the PATH with the words so far and wants `value<TAB>help` lines and a number at the end. No command is run and
no cluster is asked.
"""

import io
import os
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from typing import Final

from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]  # the library does not list them

from sublet.cli.main import COMPLETE, app

_PROGRAM: Final = "sublet"
_FILES: Final = ":0"
"""kubectl's word for: whatever the shell completes by itself."""
_NO_FILES: Final = ":4"


def script(shell: str) -> str:
    """Return what a shell has to read so that it completes `sublet`."""
    return get_completion_script(prog_name=_PROGRAM, complete_var=COMPLETE, shell=shell)


def for_kubectl(words: Sequence[str]) -> str:
    """Return kubectl's answer; the last word is the one that isn't finished."""
    *done, begun = words or [""]
    line = shlex.join([_PROGRAM, *done]) + " " + (shlex.quote(begun) if begun else "")
    # as fish asks: one value a line, with its help
    os.environ |= {
        COMPLETE: "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": line,
    }
    completion_init()
    with redirect_stdout(io.StringIO()) as said, suppress(SystemExit):
        app([], prog_name=_PROGRAM, complete_var=COMPLETE)
    lines = [each for each in said.getvalue().splitlines() if each]
    return "\n".join([*lines, _NO_FILES if lines else _FILES])
