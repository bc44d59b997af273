"""`sublet explain`: options and words."""

from sublet.cli.choices import Format
from sublet.cli.commands.options import Claim, Context, FormatOption, Namespace


def explain(
    claim: Claim,
    namespace: Namespace = None,
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Say what a claim asked for, what it got, and why it waits."""
    from sublet.cli import explain as explaining

    explaining.command(claim, namespace, context, output)
