"""Files in a directory: written under another name, synced, and renamed, so that a reader sees old or new and no half."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sublet.export.sink.drafts import Drafts
from sublet.export.sink.port import SinkFailed

_DRAFT: Final = ".draft-"
_ADVICE: Final = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the quota is used up; make room",
    errno.EACCES: "it may not be written; give the right to",
    errno.EPERM: "it may not be written; give the right to",
    errno.EROFS: "the file system is read-only",
}


class Directory:
    """A directory on this machine."""

    def __init__(self, root: Path) -> None:
        self._root, self._drafts = root, Drafts(root, _DRAFT)

    def draft(self) -> Path:
        """Return a new empty file on the same file system; SinkFailed if that can't be."""
        with _said(self._root, "can't be written to"):
            self._root.mkdir(parents=True, exist_ok=True)
            return self._drafts.new()

    def keep(self, draft: Path, name: str) -> None:
        """Sync a draft and rename it; SinkFailed, and what stood there still does."""
        target = self._root / name
        with _said(target, "could not be written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(draft)
            draft.chmod(0o640)
            draft.replace(target)
            self._drafts.release(draft)
            _sync(target.parent)

    def drop(self, draft: Path) -> None:
        """Delete a draft."""
        self._drafts.drop(draft)

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, None if there is none."""
        target = self._root / name
        with _said(target, "can't be read"):
            try:
                return target.read_bytes()
            except FileNotFoundError:
                return None

    def remove(self, name: str) -> None:
        """Delete a file."""
        target = self._root / name
        with _said(target, "can't be deleted"):
            target.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _said(path: Path, what: str) -> Iterator[None]:
    """Turn what the file system says into one line."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise SinkFailed(f"{path} {what}: {advice}") from error
