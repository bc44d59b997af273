"""What was worked out once and holds until something changes: most claims of a pass ask most leases the same."""

from collections.abc import Callable, Hashable
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


class Memo:
    """Answers by question; whoever changes what they rest on clears them."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, object] = {}  # question -> answer

    def of(self, key: Hashable, make: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """Return the answer to a question, worked out if it is asked for the first time."""
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = make(*args, **named)
        return cast("R", found)

    def clear(self) -> None:
        """Forget every answer."""
        self._answers.clear()
