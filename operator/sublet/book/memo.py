"""What was worked out once and holds until something changes: most claims of a pass ask most leases the same.

What is changed for a look only, and back again, is a page of its own: nothing that was worked out is lost by it.
"""

from collections.abc import Callable, Hashable
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


class Memo:
    """Answers by question; whoever changes what they rest on clears them."""

    def __init__(self, page: Hashable) -> None:
        self._page = page
        self._pages: dict[Hashable, dict[Hashable, object]] = {}  # page -> question -> answer
        self._answers = self._pages.setdefault(page, {})

    def turn_to(self, page: Hashable) -> None:
        """Go on with the answers that hold in another state."""
        self._page = page
        self._answers = self._pages.setdefault(page, {})

    def of(self, key: Hashable, make: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """Return the answer to a question, worked out if it is asked for the first time."""
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = make(*args, **named)
        return cast("R", found)

    def clear(self) -> None:
        """Forget every answer."""
        self._pages.clear()
        self.turn_to(self._page)
