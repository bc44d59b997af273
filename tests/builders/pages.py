"""HTML as a test looks at it: elements with their attributes, and what they ask for from outside."""

import re
from xml.etree.ElementTree import Element, fromstring

_ASKING = ("src", "href", "action", "srcset", "poster", "data")


class Seen:
    """A page or a part of one; it must be well-formed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._root = fromstring(text.removeprefix("<!doctype html>\n"))

    def all(self, name: str) -> list[Element]:
        """Return all elements of a name."""
        return list(self._root.iter(name))

    def count(self, name: str) -> int:
        """Return how many there are."""
        return len(self.all(name))

    def words(self, name: str) -> list[str]:
        """Return what stands in each element of a name."""
        return ["".join(x.itertext()) for x in self.all(name)]

    def outside(self) -> list[str]:
        """Return everything that a browser would fetch."""
        asked = [
            f"{k}={v}"
            for x in self._root.iter()
            for k, v in x.attrib.items()
            if k in _ASKING and v[:1] != "#"
        ]
        return asked + re.findall(r"url\((?!#)[^)]*\)|@import[^;]*", self.text)
