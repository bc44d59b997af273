"""Large blocks that were freed are the system's again, also when small ones were taken beside them."""

import resource
import subprocess
import sys

from sublet.heap import LARGE_BYTES

_USE = f"""
from sublet.heap import keep_large_blocks_apart

def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * {resource.getpagesize()}

def use(count):
    blocks, small = [], []
    for _ in range(count):
        blocks.append(b"x" * {2 * LARGE_BYTES})
        small.append(b"y" * 6000)
    return small

%s
use(1)  # the first that is freed
before = resident_bytes()
small = use(200)
print(resident_bytes() - before)
"""


def test_what_was_freed_is_given_back():
    assert kept_bytes("keep_large_blocks_apart()") < 100 * LARGE_BYTES


def test_the_c_library_by_itself_keeps_most_of_it():
    assert kept_bytes("") > 200 * LARGE_BYTES


def kept_bytes(first: str) -> int:
    """Return what a process keeps of 200 large blocks after it has freed them."""
    command = (sys.executable, "-c", _USE % first)
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
