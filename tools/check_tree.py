"""Checks that no other tool makes: file lengths, leftover marks, registry hosts, a clean tree.

Run by `make verify`. Prints each fault as `file:line: what` and exits 1 if there is any.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 400
# spelt in pieces so that this file doesn't find itself
MARKS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
HOSTS = re.compile(
    r"://[a-z0-9.-]*(py" + r"pi|pythonhosted|golang|npmjs|debian|crates|maven)[a-z0-9.-]*/"
)
GENERATED = (
    "crds",
    "charts",
    "docs/decisions/index.md",
    "docs/limits.md",
    "docs/quickstart.md",
    "docs/reference",
    "docs/settings.md",
)


def main() -> int:
    """Return 1 if anything is wrong."""
    faults = [*check_files(), *check_clean()]
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults in the tree" if faults else "the tree is in order")
    return 1 if faults else 0


def check_files() -> Iterator[str]:
    """Yield faults inside files that git knows."""
    for name in git("ls-files"):
        path = Path(name)
        if not path.exists() or path.suffix in (".sum", ".lock", ".png"):
            continue
        lines = path.read_text(errors="replace").splitlines()
        if path.suffix == ".py" and len(lines) > MAX_LINES:
            yield f"{name}: {len(lines)} lines, more than {MAX_LINES}: split it by duty"
        for number, line in enumerate(lines, 1):
            if MARKS.search(line):
                yield f"{name}:{number}: a mark of unfinished work"
            if HOSTS.search(line):
                yield f"{name}:{number}: names a registry's host"


def check_clean() -> Iterator[str]:
    """Yield generated files that differ from what is committed, or aren't committed at all."""
    for name in git("diff", "--name-only", "--", *GENERATED):
        yield f"{name}: generated anew and not committed"
    for name in git("ls-files", "--others", "--exclude-standard", "--", *GENERATED):
        yield f"{name}: generated and not known to git"


def git(*arguments: str) -> list[str]:
    """Return the lines that git prints."""
    done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main())
