"""The commands that README and docs/ tell people to type, and what the program itself says to them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import typer

from sublet.cli.main import app
from tests.builders.markdown import Block, blocks, pages, words_of_code

PROGRAMS = ("sublet", "kubectl", "make", "helm", "python", ".venv/bin/python", "focus-toolkit", "export")  # fmt: skip
_SHELLS = ("sh", "bash", "console")
_BEFORE_THE_VERB = ("--kubeconfig", "--context", "-n", "--namespace")
_ASSIGNED = re.compile(r"^\w+=\$\((?P<inner>.*)\)$")
_PLACE = re.compile(r"[A-Z]|[<…|=]")
"""What stands for something: not a word of a command itself"""


@dataclass(frozen=True, slots=True)
class Command:
    """One command as a page has it."""

    page: str
    line: int
    words: tuple[str, ...]

    @property
    def where(self) -> str:
        """Return the page and the command, as a test's id."""
        return f"{self.page}:{self.line} {shlex.join(self.words)[:60]}"

    @property
    def bare(self) -> tuple[str, ...]:
        """Return the words without options, and without what comes before kubectl's verb: which cluster, which namespace."""
        program, rest = self.words[0].rsplit("/", 1)[-1], list(self.words[1:])
        while program == "kubectl" and rest[:1] and rest[0] in _BEFORE_THE_VERB:
            rest = rest[2:]
        return (program, *(w for w in rest if not w.startswith("-")))

    @property
    def options(self) -> set[str]:
        """Return the options that are given, without their values, and without those of a command that kubectl only hands on."""
        own = self.words[: self.words.index("--")] if "--" in self.words else self.words
        return {w.split("=")[0] for w in own if re.match(r"--?[a-z]", w)}


def commands() -> list[Command]:
    """Return every command in a block of code."""
    return [c for page in pages() for block in blocks(page) for c in _commands(block)]


def mentions() -> list[tuple[str, str]]:
    """Return each page and each `sublet …` between backticks in its sentences."""
    found = ((page, code) for page in pages() for code in words_of_code(page))
    return [(page, code) for page, code in found if code.startswith(("sublet ", "kubectl sublet "))]


def _commands(block: Block) -> Iterator[Command]:
    has_prompt = any(line.startswith("$ ") for line in block.text.splitlines())
    for number, line in _lines(block.text):
        typed = line.removeprefix("$ ") if line.startswith("$ ") else line.strip()
        if has_prompt and not line.startswith("$ "):
            continue  # what was printed
        words = _words(typed)
        known = words[:1] and words[0] in PROGRAMS
        # a line that begins with an option is a piece of a command, to be put in
        if known or (words and block.language in _SHELLS and not words[0].startswith("-")):
            yield Command(block.page, block.line + number, tuple(words))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number; one that ends with a backslash goes on in the next."""
    begun, whole = 0, ""
    for number, line in enumerate(text.splitlines()):
        begun = begun if whole else number
        whole += line.strip() if whole else line
        if whole.endswith("\\"):
            whole = f"{whole[:-1].rstrip()} "
            continue
        yield begun, whole
        whole = ""


def _words(typed: str) -> list[str]:
    """Split a line as a shell does, up to where its output goes: a file, or another program."""
    try:
        words = shlex.split(typed, comments=True)
    except ValueError:
        return []  # no command: a text with one quote
    if found := _ASSIGNED.match(typed):
        return _words(found["inner"])
    ends = [words.index(sign) for sign in (">", "|") if sign in words]
    return words[: min(ends)] if ends else words


def refused(words: tuple[str, ...]) -> str:
    """Return what the program says to a command that it doesn't take, empty if it takes it; it takes every `--help`."""
    given = [w for w in words[1:] if w != "--help"]
    lax = {"resilient_parsing": len(given) < len(words) - 1}
    try:
        command: Any = program()
        context = command.make_context("sublet", given, **lax)
        while hasattr(command, "resolve_command") and (given or context.args):
            rest = [*context._protected_args, *context.args]
            name, command, rest = command.resolve_command(context, rest)
            context = command.make_context(name, rest, parent=context, **lax)
    except typer.TyperException as error:
        return str(error.format_message())
    return ""


def unknown_words(code: str) -> list[str]:
    """Return subcommands and options of a mention that the program doesn't have; what stands for something is passed over."""
    words = re.split(r"\s+", code.removeprefix("kubectl "))[1:]
    command: Any = program()
    while hasattr(command, "resolve_command") and words and not _PLACE.search(words[0]):
        if words[0].startswith("-"):
            break
        word = words[0]
        _, command, words = command.resolve_command(_context(command), words)
        if command is None:
            return [word]
    options = [w.strip("[]").split("=")[0] for w in words if w.strip("[]").startswith("-") and w != "-"]  # fmt: skip
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-o"}
    return [o for o in options if o not in known and not re.match(r"-\d", o)]


@cache
def program() -> Any:
    """Return the command line's own parser."""
    return typer.main.get_command(app)


def _context(command: Any) -> Any:
    return command.make_context("sublet", [], resilient_parsing=True)
