"""`python -m sublet`: run the operator."""

import sys

from sublet.app import main

if __name__ == "__main__":
    sys.exit(main())
