"""Files that commands write: whole or not at all, and for their owner's eyes."""

from pathlib import Path

from sublet.cli.problems import Problem
from sublet.files import replaced


def write_whole(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all; Problem if that can't be."""
    try:
        with replaced(path) as draft:
            draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{path} can't be written: {error.strerror or error}") from error
