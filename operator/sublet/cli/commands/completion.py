"""`sublet completion`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Shell


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="One of bash, zsh, fish.")],
) -> None:
    """Print a script with which your shell completes commands and options.

    `kubectl sublet` is completed by kubectl's own completion and needs no script.

    \b
    Example:
      bash:  source <(sublet completion bash)                                in ~/.bashrc
      zsh:   source <(sublet completion zsh)                                 in ~/.zshrc, after compinit
      fish:  sublet completion fish > ~/.config/fish/completions/sublet.fish
    """  # noqa: D301  \b is for the help's layout
    from sublet.cli.completion import script

    print(script(shell))
