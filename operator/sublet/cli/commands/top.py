"""`sublet top`: options and words."""

from sublet.cli.choices import Format
from sublet.cli.commands.options import Context, FormatOption


def top(context: Context = None, output: FormatOption = Format.TABLE) -> None:
    """Show all leases and claims with their counts and states."""
    from sublet.cli import top as overview

    overview.command(context, output)
