"""What a claim's status still says of reservations that it has no lines of any more. Pure.

A ledger that was restored may have one of them open that ended after the backup. Made by the meter with a claim's lines, read
by the store as it appends them: the end comes with the beginning of what took its place, and nobody is billed for both.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.ledger.entry import Fact


@dataclass(frozen=True, slots=True)
class Past:
    """A claim's time before the reservation that it has."""

    claim_uid: ClaimUID
    sequence: int
    """The reservation that it has. Those before it are over, but for what the claim's lines say of them."""
    since_ms: Millis
    """Since when it has GPUs without a break, over moves."""
    came_ms: Millis
    """When it came to those of this reservation, from the ones that it had since then."""
    used_ms: int
    """How long it had some before that, in all."""
    lost: Mapping[str, Millis]
    """Lost lease -> until when its GPUs are known to have worked"""

    def end_of(self, begun: Collection[Fact], known_ms: int, next_ms: Millis) -> Millis:
        """Return until when an earlier reservation that begins with these lines was billed at most.

        `known_ms`: how much of `used_ms` is that of others. `next_ms`: when the next one that has lines began.
        """
        at_ms = min(fact.at_ms for fact in begun)
        left_ms = min(self.since_ms, at_ms + max(0, self.used_ms - known_ms))
        was_moved = at_ms >= self.since_ms
        lost = [self.lost[fact.lease_uid] for fact in begun if fact.lease_uid in self.lost]
        end_ms = min(self.came_ms, next_ms) if was_moved else left_ms
        return Millis(max(at_ms, min([end_ms, *lost])))
