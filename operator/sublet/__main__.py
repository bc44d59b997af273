"""`python -m sublet`: run the operator."""

import gc
import sys

# a big fleet is a million small objects that live on: looking through them for cycles at the stock pace costs a sixth of
# the time and stalls the loop for tens of milliseconds; set before the imports, of which it costs as much
gc.set_threshold(50_000, 20, 50)

from sublet.process import main  # noqa: E402  see above

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
