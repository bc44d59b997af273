"""`python -m tools.site [FOLDER]`: build the documentation site, strictly: a link or anchor that leads nowhere fails it.

The site's own program comes from the pins in tools/python/docs.lock, in an environment of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.harness.apart import find

ROOT = Path(__file__).resolve().parents[1]


def build(target: Path) -> subprocess.CompletedProcess[str]:
    """Build the site into a folder; its warnings and errors are in what it printed."""
    mkdocs = str(find("docs", "mkdocs"))
    command = [mkdocs, "build", "--strict", "--quiet", "--site-dir", str(target)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # news of its makers, not of our pages
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)


def main(arguments: list[str]) -> int:
    """Build it; return the exit status."""
    target = Path(arguments[0] if arguments else ROOT / "build" / "site").absolute()
    done = build(target)
    print(done.stdout + done.stderr, end="", file=sys.stderr)
    print(f"the site can't be built (status {done.returncode})" if done.returncode else f"built {target}/index.html")  # fmt: skip
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
