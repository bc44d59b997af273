"""The program as a group of commands of which each is loaded when it is meant, and none for help or completion."""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from sublet.cli.commands.table import COMMANDS

PLAIN: Final[dict[str, Any]] = {
    "add_completion": False,  # `sublet completion` is one for both names of the program
    "rich_markup_mode": None,  # help as kubectl writes it: no frames
    "pretty_exceptions_enable": False,
}
"""What each part of the program is made with."""


class LightGroup(TyperGroup):
    """A group that gets to a command of its own without loading what only values need."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return `--help`; one that wasn't given is False, for typer loads pydantic to make something of None."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


class LazyGroup(LightGroup):
    """A group that knows its commands by the table: names for suggestions, a line of help for lists."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = {name: TyperCommand(name, help=line) for name, line in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that is meant, loaded, and what is left for it; an error names those alike."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and listed is not None else None, rest


def load(name: str) -> Any:
    """Return a command of the table as the program runs it."""
    found = getattr(import_module(f"sublet.cli.commands.{name}"), name)
    if isinstance(found, typer.Typer):
        return get_command(found)
    alone = typer.Typer(**PLAIN)
    alone.command(name)(found)
    return get_command(alone)
