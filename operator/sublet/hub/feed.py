"""kopf, for as long as the process lives: whatever ends it, it begins anew after a wait and reads everything again.

What ends it is nothing that should end the operator: an ERROR in a watch, a 404, a 410. It looks once which kinds the
hub serves, and follows for ever without one that isn't shown at that instant; here that ends it, too. By `spawn_tasks` and
not by `kopf.operator`, which ends whatever began after itself: every step under way.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

import kopf
import structlog

# a parameter of `spawn_tasks`, whose type kopf doesn't export
from kopf._cogs.structs.references import Insights

from sublet.api.kinds import KINDS
from sublet.hub.feeders import register_feeders
from sublet.hub.kopf_settings import EndlessBackoff, kopf_settings, register_login
from sublet.hub.state import HubState
from sublet.kube.session import Endpoint

_WANTED: Final = frozenset({*(kind.plural for kind in KINDS), "priorityclasses", "namespaces"})
"""What kopf follows; and namespaces, without which it begins nothing."""
_WATCHER: Final = "watcher for "
"""How kopf names the tasks that it leaves behind when one of them fails."""
_SOUND_SECONDS: Final = 60.0
"""After so long without a fault the next one is waited for shortly again."""


class Feed:
    """Follows the hub into the state; `stands` from when every kind has been followed."""

    def __init__(
        self, state: HubState, endpoint: Endpoint, begun: Callable[[], None] = lambda: None
    ) -> None:
        """`begun`: called whenever kopf has begun, and has taken the process's signals for itself."""
        self._state, self._endpoint, self._begun = state, endpoint, begun
        self.stands = False

    async def run(self) -> NoReturn:
        """Follow until cancelled."""
        now = asyncio.get_running_loop().time
        delays = iter(EndlessBackoff())
        while True:
            began = now()
            error = await self._follow()
            structlog.get_logger().warning("the hub isn't followed", error=error)
            if now() - began > _SOUND_SECONDS:
                delays = iter(EndlessBackoff())
            await asyncio.sleep(next(delays))

    async def _follow(self) -> str:
        """Follow until something ends it; return what."""
        registry, insights = kopf.OperatorRegistry(), Insights()
        register_feeders(registry, self._state)
        register_login(registry, self._endpoint)
        tasks = set(
            await kopf.spawn_tasks(
                registry=registry,
                settings=kopf_settings(),
                insights=insights,
                standalone=True,
                clusterwide=True,
            )
        )
        self._begun()
        tasks.add(asyncio.create_task(self._look(insights)))
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)  # who makes watchers is done, and those made just now have begun
            watchers = {t for t in asyncio.all_tasks() if t.get_name().startswith(_WATCHER)}
            for task in watchers:
                task.cancel()
            await asyncio.gather(*tasks, *watchers, return_exceptions=True)
        return _why(ended)

    async def _look(self, insights: Insights) -> None:
        """End if the hub doesn't show every kind."""
        await insights.ready_resources.wait()
        shown = (*insights.watched_resources, *insights.backbone.values())
        if missing := _WANTED - {each.plural for each in shown}:
            raise LookupError(f"the hub doesn't serve {', '.join(sorted(missing))}")
        if self.stands:
            self._state.doubted.set()  # what was deleted meanwhile is in no list
        self.stands = True
        await asyncio.Event().wait()


def _why(ended: Iterable[asyncio.Task[Any]]) -> str:
    faults = [fault for task in ended if not task.cancelled() and (fault := task.exception())]
    return "; ".join(f"{type(fault).__name__}: {fault}" for fault in faults) or "kopf ended"
