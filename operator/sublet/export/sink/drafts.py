"""Files that are being written, and what a process that was killed left of them.

Each is locked for as long as its process means it, and the kernel unlocks what a dead process held. So the next export sees
which ones nobody means any more, without a clock and without a list; one on another machine is left alone where its file
system passes locks on, as NFS does.
"""

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path


class Drafts:
    """The drafts of one sink in one folder."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder, self._prefix = folder, prefix
        self._held: dict[Path, int] = {}  # draft -> the open file that holds its lock
        self._has_swept = False

    def new(self) -> Path:
        """Return a new empty file, locked; OSError. The first one clears up after processes that are gone."""
        if not self._has_swept:
            self._sweep()
            self._has_swept = True
        while True:
            handle, name = tempfile.mkstemp(prefix=self._prefix, dir=self._folder)
            path = Path(name)
            _lock(handle)
            if _is_there(path, handle):
                self._held[path] = handle
                return path
            os.close(handle)  # another's sweep came between the file and its lock

    def release(self, draft: Path) -> None:
        """Mean a draft no more: it has another name now, or was sent."""
        handle = self._held.pop(draft, None)
        if handle is not None:
            os.close(handle)

    def drop(self, draft: Path) -> None:
        """Delete a draft, if it is still there."""
        with contextlib.suppress(OSError):
            draft.unlink()
        self.release(draft)

    def _sweep(self) -> None:
        for path in self._folder.glob(f"{self._prefix}*"):
            with contextlib.suppress(OSError):  # in use, another's, or gone already
                handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(handle)


def _lock(handle: int) -> None:
    with contextlib.suppress(OSError):  # no locks here: then nobody's sweep gets one either
        fcntl.flock(handle, fcntl.LOCK_EX)


def _is_there(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
