"""Whether somebody else writes the statuses that we write, and how long to wait before theirs is overwritten.

Nobody but a leader should write them. Two operators at once (a leader that wakes up, an election that is switched off) undo
what the other says of a lease for as long as their views differ, or of a claim that one version can read and the other
can't, and each write wakes the other: without a pause that is hundreds of writes. So between two words of ours that
another's stood between, more time passes each time. Owned by the status writer.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from sublet.clock import Clock

_FIRST_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 10.0
_MOST_DOUBLINGS: Final = 10
"""More than there are, and a float doubles a thousand times."""
_CALM_SECONDS: Final = 60.0
"""After so long without an overwrite a contest is over."""


@dataclass(frozen=True, slots=True)
class _Word:
    """What we wrote last, and how often in a row what others had written in between was overwritten."""

    status: object
    """None: we don't know whether it was written."""
    at_seconds: float
    overwrites: int
    overwrote_seconds: float
    """When that happened last."""

    def is_changed(self, found: object) -> bool:
        return self.status is not None and self.status != found


class Contest:
    """Knows our last word on each object."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._words: dict[str, _Word] = {}  # object's UID, or what is said of it -> our last word

    def wait_seconds(self, uid: str, found: object) -> float:
        """Return how long what is found must still stand: no time, unless another wrote it over a word of ours that is fresh."""
        word = self._words.get(uid)
        if word is None or not word.is_changed(found):
            return 0.0
        doubled = _FIRST_WAIT_SECONDS * 2.0 ** min(word.overwrites, _MOST_DOUBLINGS)
        wait = min(doubled, _LONGEST_WAIT_SECONDS)
        return max(0.0, word.at_seconds + wait - self._clock.monotonic())

    def wrote(self, uid: str, found: object, status: object) -> None:
        """Take note that a status was written where another was found."""
        now, word = self._clock.monotonic(), self._words.get(uid)
        if word is None or now - word.overwrote_seconds >= _CALM_SECONDS:
            word = _Word(None if word is None else word.status, now, 0, now)
        if word.is_changed(found):
            word = replace(word, overwrites=word.overwrites + 1, overwrote_seconds=now)
        self._words[uid] = replace(word, status=status, at_seconds=now)

    def doubt(self, uid: str) -> None:
        """Take note that a write got no answer: what is found next may be ours."""
        if (word := self._words.get(uid)) is not None:
            self._words[uid] = replace(word, status=None)

    def keep(self, uids: Collection[str]) -> None:
        """Forget all objects but these."""
        self._words = {uid: word for uid, word in self._words.items() if uid in uids}
