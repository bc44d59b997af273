"""Files that commands write: whole or not at all, and for their owner's eyes."""

import os
import tempfile
from pathlib import Path

from sublet.cli.problems import Problem


def write_whole(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all; Problem if that can't be."""
    try:
        handle, name = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Problem(f"{path} can't be written: {error.strerror or error}") from error
