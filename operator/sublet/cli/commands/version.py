"""`sublet version`: the words, and all of the work."""

from sublet import __version__


def version() -> None:
    """Print the program's version."""
    print(__version__)
