"""Where Chromium and its driver come from: a machine that has none installs Debian's.

In this order: `TEST_ASSET_CHROMIUM` and `TEST_ASSET_CHROMEDRIVER`, PATH, else `apt-get` if we are root on a system that has
it. A lock keeps test processes that start side by side from installing at once. Whoever can't have a browser is told
what to install: the tests that need one fail, they are never skipped.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("chromium", "chromium-driver", "fonts-dejavu-core")
"""A page without a font is a page of boxes."""
_NAMES: Final = {
    "CHROMIUM": ("chromium", "chromium-browser", "google-chrome"),
    "CHROMEDRIVER": ("chromedriver",),
}
# somebody else's apt, as an unattended upgrade, is waited for
_APT: Final = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")


class NoBrowser(Exception):
    """There is none and none can be installed; the text is one line that says what to do."""


def find_chromium() -> tuple[str, str]:
    """Return the programs of the browser and of its driver, installing them if they aren't there; raises NoBrowser."""
    found = _present()
    if found is None:
        with Path(tempfile.gettempdir(), f"sublet-apt-{os.getuid()}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = _present()  # another process may have installed them while we waited
            if found is None:
                _install()
                found = _present()
    if found is None:
        raise NoBrowser(
            f"{' and '.join(_PACKAGES[:2])} were installed and aren't on PATH; {_advice()}"
        )
    return found


def _present() -> tuple[str, str] | None:
    found = [_find(variable) for variable in _NAMES]
    return (found[0], found[1]) if found[0] and found[1] else None


def _find(variable: str) -> str | None:
    if given := os.environ.get(f"TEST_ASSET_{variable}"):
        if not os.access(given, os.X_OK):
            raise NoBrowser(f"TEST_ASSET_{variable}={given} is no program")
        return given
    return next(filter(None, map(shutil.which, _NAMES[variable])), None)


def _install() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoBrowser(f"the pages' tests need a browser: {_advice()}")
    print(f"no browser on PATH: installing {', '.join(_PACKAGES)} …", file=sys.stderr, flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (("update",), ("install", "-y", "--no-install-recommends", *_PACKAGES)):
        done = subprocess.run(
            [*_APT, *step], env=quiet, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise NoBrowser(f"apt-get {step[0]} failed ({said}): {_advice()}")


def _advice() -> str:
    packages = " ".join(_PACKAGES)
    return f"install {packages} (Debian's names), or set TEST_ASSET_CHROMIUM and TEST_ASSET_CHROMEDRIVER"
