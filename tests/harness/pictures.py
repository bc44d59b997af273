"""The pictures of the platform team's page in docs/desk.md: `python -m tests.harness.pictures` takes them again.

Each says in itself (a PNG's own text field) of which page it was taken, by its hash; a test compares that with the page as it is now.
So what the docs show was really shown by a browser, though no two machines draw letters alike.
"""

import hashlib
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from sublet.pages.desk import desk_page
from tests.builders.desks import working
from tests.harness.browser import Browser
from tests.harness.desk import served_desk
from tests.planes.binaries import ROOT

FOLDER: Final = ROOT / "docs" / "images"
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_FIELD: Final = b"page\0"


class Picture(NamedTuple):
    """A screen, in CSS pixels."""

    name: str
    width: int
    height: int
    dark: bool = False

    @property
    def path(self) -> Path:
        """Return where it lies."""
        return FOLDER / f"{self.name}.png"


PICTURES: Final = (Picture("desk", 1240, 980), Picture("desk-phone", 360, 740, dark=True))


def digest() -> str:
    """Return the hash of the page that the pictures are of."""
    return hashlib.sha256(desk_page(working()).encode()).hexdigest()


def taken_of(png: bytes) -> str:
    """Return the hash of the page that a picture was taken of, "" if it doesn't say."""
    fields = (data for kind, data in _chunks(png) if kind == b"tEXt")
    return next((f.removeprefix(_FIELD).decode() for f in fields if f.startswith(_FIELD)), "")


def marked(png: bytes, text: str) -> bytes:
    """Return a picture that says what it was taken of."""
    *begun, end = _chunks(png)
    chunks = (*begun, (b"tEXt", _FIELD + text.encode()), end)
    return _SIGNATURE + b"".join(_written(kind, data) for kind, data in chunks)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and data of each part of a PNG; its last is IEND."""
    at = len(_SIGNATURE)
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        yield kind, png[at + 8 : at + 8 + length]
        at += length + 12


def _written(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def main() -> int:
    """Take them all; return the exit status."""
    browser = Browser()
    try:
        with served_desk() as desk:
            desk.view = working()
            for each in PICTURES:
                browser.screen(each.width, each.height, dark=each.dark)
                browser.open(desk.url)
                browser.picture(each.path)
                each.path.write_bytes(marked(each.path.read_bytes(), digest()))
                print(f"{each.path.relative_to(ROOT)}: {each.path.stat().st_size:,} bytes")
    finally:
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
