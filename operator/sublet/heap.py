"""How the C library keeps the process's memory. Called once, as the operator starts.

glibc gives a large block pages of its own, which go back to the system with it, until the first is freed: then it takes
blocks of that size from the heap, where they lie among small ones and what was touched stays. A TLS connection has a
buffer of 256 KiB, of which an idle one touches a page or two; on a heap that hundreds of connections have used, all of it.
"""

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
"""mallopt(3); once it was set, glibc leaves it as it is."""
LARGE_BYTES: Final = 128 * 1024
"""Where glibc itself begins."""


def keep_large_blocks_apart() -> None:
    """Have each large block be pages of its own for as long as the process lives; nothing where the C library isn't glibc."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, LARGE_BYTES)
