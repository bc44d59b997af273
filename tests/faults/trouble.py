"""What the proxy does to requests: the plan's one fault, partitions, views, and requests that are held.

Set by the runner, asked by the proxy at each request. Nothing here reads or writes an API server.
"""

import asyncio
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from tests.faults.journal import Entry
from tests.faults.plan import MUTE, OLD_VIEWS, Place, Plan
from tests.faults.views import Shown, View

RETRY_AFTER_SECONDS: Final = 1
DELAY_SECONDS: Final = 1.0
PARTITION_SECONDS: Final = 2.5
"""Long enough for three failed probes: the cluster's state becomes Unknown."""

Commit = Callable[[Entry], Awaitable[None]]


class Trouble:
    """The state of all faults; one per set of planes."""

    def __init__(self) -> None:
        self.views: dict[tuple[str, str], View] = defaultdict(View)  # (cluster, resource) -> view
        self.cut: dict[
            str, asyncio.Event
        ] = {}  # cluster that is partitioned off -> set when healed
        self.on_commit: Commit | None = None
        """Awaited after each write that the API server has done, before its answer goes on."""
        self.fired_seconds: float | None = None
        """Monotonic, when the plan's fault happened; None if it hasn't."""
        self.held: dict[int, asyncio.Event] = {}  # pid -> set when its writes may go on
        self.overtake: Callable[[Entry], Awaitable[None]] | None = None
        """Awaited in place of the write at which another operator is to come first."""
        self._place: Place | None = None
        self._action = ""
        self._seen: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def arm(self, place: Place | None, action: str) -> None:
        """Count writes from now on, and do this at that one."""
        self._seen.clear()
        self._place, self._action, self.fired_seconds = place, action, None

    def disarm(self) -> None:
        """Do nothing any more, and let go of everything that is held."""
        self.arm(None, "")
        for cluster in list(self.cut):
            self.heal(cluster)
        for event in self.held.values():
            event.set()
        self.held.clear()
        self.overtake = None

    def forget(self) -> None:
        """Begin a plan: what was shown before isn't of it."""
        for view in self.views.values():
            view.shown = Shown()

    def changed_views(self) -> list[str]:
        """Return the watched kinds of which operators were told changes since the plan began, as `cluster resource`."""
        return sorted(" ".join(key) for key, view in self.views.items() if view.shown.changes)

    def has_happened(self, plan: Plan) -> bool:
        """Say whether the fault of a plan happened."""
        if plan.action not in OLD_VIEWS or plan.place is None:
            return self.fired_seconds is not None
        cluster, resource = plan.place.key.split()
        return self.views[cluster, resource].was_shown(plan.action)

    def action_for(self, entry: Entry) -> str:
        """Return what is to be done to a request that has just come, "" if nothing."""
        if not entry.is_write:
            return self._muted(entry)
        self._seen[entry.key] += 1
        place = self._place
        if place is None or place.key != entry.key or place.nth != self._seen[entry.key]:
            return ""
        self.fired_seconds = time.monotonic()
        entry.action = self._action
        return self._action

    def _muted(self, entry: Entry) -> str:
        """Refuse what is only told, if that is the plan."""
        if self._action != MUTE or not entry.is_news:
            return ""
        self.fired_seconds = time.monotonic()
        return "500"

    def partition(self, cluster: str) -> None:
        """Cut a cluster off: open connections are cut, new ones too."""
        self.cut.setdefault(cluster, asyncio.Event())

    def partition_for_a_while(self, cluster: str) -> None:
        """Cut a cluster off and heal it later."""
        self.partition(cluster)

        async def heal() -> None:
            await asyncio.sleep(PARTITION_SECONDS)
            self.heal(cluster)

        task = asyncio.create_task(heal())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def heal(self, cluster: str) -> None:
        """Join a cluster again."""
        if (event := self.cut.pop(cluster, None)) is not None:
            event.set()
            if self.fired_seconds is not None:  # the workload itself may cut a cluster off
                self.fired_seconds = time.monotonic()


def kill(pid: int) -> None:
    """End an operator as kill -9 does."""
    assert pid, "the operator that sent a request wasn't found"
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
