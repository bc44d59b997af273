"""Claims that are to be put right: a few of each cluster at once, the others wait for their turn without a task.

Thousands may be unwell together, as when somebody deletes an object in every namespace. Begun all at once their first
requests would hold the event loop for seconds and the hub's connections for minutes: no token would be renewed, nor the
leader's Lease. Each cluster has turns of its own, so that one whose requests hang keeps nobody else waiting. Filled anew
by each look; who is well by then waits no more.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.binder.bind import Checkpoint
from sublet.binder.work import Work

AT_ONCE: Final = 8
"""Claims of one cluster that are put right at once."""


@dataclass(slots=True)
class _Line:
    """The claims of one cluster."""

    waiting: deque[ClaimUID] = field(default_factory=deque)
    under_way: int = 0


class Turns:
    """Starts the work on claims as those before them are done."""

    def __init__(
        self,
        claim: Callable[[ClaimUID], GpuClaim | None],
        start: Callable[[GpuClaim, Work], bool],
    ) -> None:
        """`claim` returns a claim as it is now, None if it is gone; `start` says whether the work was begun."""
        self._claim = claim
        self._start = start
        self._lines: dict[ClusterUID, _Line] = {}

    def take(self, cluster: ClusterUID, claims: Iterable[GpuClaim], work: Work) -> None:
        """Put these claims in the place of those of the cluster that still wait; `work` is done on each of them."""
        line = self._lines.setdefault(cluster, _Line())
        line.waiting = deque(ClaimUID(c.metadata.uid) for c in claims)
        self._go_on(line, work)

    def drop(self, cluster: ClusterUID) -> None:
        """Forget who waits in a cluster that isn't looked at any more."""
        if (line := self._lines.pop(cluster, None)) is not None:
            line.waiting.clear()

    def waiting(self, cluster: ClusterUID) -> int:
        """Return how many claims of a cluster wait for their turn."""
        line = self._lines.get(cluster)
        return len(line.waiting) if line is not None else 0

    def _go_on(self, line: _Line, work: Work) -> None:
        while line.waiting and line.under_way < AT_ONCE:
            claim = self._claim(line.waiting.popleft())  # it may have changed while it waited
            if claim is not None and self._start(claim, self._in_turn(line, work)):
                line.under_way += 1

    def _in_turn(self, line: _Line, work: Work) -> Work:
        async def in_turn(claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
            try:
                return await work(claim, checkpoint)
            finally:
                line.under_way -= 1
                self._go_on(line, work)

        return in_turn
