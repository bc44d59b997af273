"""`python -m sublet.export.focus FOLDER…`: check exports as they stand in directories; exit status 1 if anything is wrong."""

import sys
from pathlib import Path

from sublet.export.focus.audit import audit


def main() -> int:
    """Print every fault, or that there is none."""
    if len(sys.argv) == 1:
        print("say which folders to check: those that hold a manifest.json", file=sys.stderr)
        return 2
    wrong = 0
    for folder in map(Path, sys.argv[1:]):
        faults = list(audit(folder))
        for fault in faults:
            print(f"{folder}: {fault}")
        if not faults:
            print(f"{folder}: in order")
        wrong += len(faults)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
