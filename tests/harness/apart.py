"""Programs from Python packages that don't get along with ours: each in an environment of its own, made once.

Their versions are pinned in tools/python. The environments lie in the cache where the control plane's programs
do; `TEST_ASSET_<NAME>` names a program that is there already.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.planes.binaries import TOOLS


def newer_python(least: int) -> str | None:
    """Return a Python 3 of at least a minor version that really starts, None if none is at hand."""
    for minor in range(least, least + 4):
        name = f"python3.{minor}"
        root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
        for found in (shutil.which(name), *root.glob(f"versions/*/bin/{name}")):
            if (
                found
                and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode
                == 0
            ):
                return str(found)
    return None


def find(name: str, program: str, python: str = "python3") -> Path:
    """Return the path of a program of the packages that tools/python/NAME.lock pins, installing them if they aren't there."""
    if given := os.environ.get("TEST_ASSET_" + program.upper().replace("-", "_")):
        return Path(given)
    lock = TOOLS / "python" / f"{name}.lock"
    digest = hashlib.sha256(python.encode() + lock.read_bytes()).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "sublet" / "python" / f"{name}-{digest}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
        ]
        subprocess.run(
            [*pip, "install", "--quiet", "-r", lock],
            check=True,
            capture_output=True,
        )
        (folder / "made").touch()
    return folder / "bin" / program
