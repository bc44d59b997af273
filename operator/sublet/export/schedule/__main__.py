"""`python -m sublet.export.schedule`: started by the operator, never by a person."""

import sys

from sublet.export.schedule.worker import main

if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
