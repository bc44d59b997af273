"""Files that are written whole or not at all, and for their owner's eyes."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a draft that takes a file's place at the end, with mode 0600; an error leaves what was there.

    A link stays one, and leads to the new file. A pipe or a device keeps its place too, and is given what is in the draft.
    """
    is_file = _may_be_file(path)
    target = path.resolve() if is_file else path
    handle, name = tempfile.mkstemp(dir=target.parent if is_file else None, prefix=".sublet-")
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        if is_file:
            _sync(draft)
            draft.replace(target)
        else:
            with draft.open("rb") as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)
    finally:
        draft.unlink(missing_ok=True)


def _may_be_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
