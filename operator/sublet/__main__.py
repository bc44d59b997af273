"""`python -m sublet`: run the operator."""

import sys

from sublet.process import main

if __name__ == "__main__":
    sys.exit(main())
