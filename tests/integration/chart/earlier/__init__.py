"""Charts that people may have installed, packed by Helm, the newest last; each release adds its own package here.

No release is published yet: the one that is here is the chart as it was at the commit in its name, before it was written anew.
"""

from pathlib import Path
from typing import Final

from packaging.version import Version

EARLIER: Final = tuple(
    sorted(Path(__file__).parent.glob("*.tgz"), key=lambda p: Version(p.stem.split("-")[1]))
)
