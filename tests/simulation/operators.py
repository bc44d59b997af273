"""The operator under simulation: the real composition of `sublet.app`, without kopf, listeners, sockets and threads.

What takes kopf's place is `_feed`: list, watch, and one queue per object, as kopf does it, with its weakness: after a
re-list nothing says what is gone (kopf/_core/reactor/queueing.py).
"""

import asyncio
import random
from typing import Any, Final

import msgspec

from sublet.api.kinds import KINDS
from sublet.app import Operator
from sublet.kube.errors import KubeError
from sublet.kube.session import ApiServer, Endpoint
from sublet.settings import Settings
from tests.simulation.clock import SimClock
from tests.simulation.ledger import Database
from tests.simulation.loop import ACTOR, SimLoop
from tests.simulation.network import Network

HUB: Final = "https://hub.sim:6443"
NAMESPACE: Final = "sublet-system"
SETTLE_SECONDS: Final = 30.0
"""Shorter than the quiet by which rest is told: a node whose GPUs came back lately isn't idle yet."""
DRIFT_SECONDS: Final = 20.0
"""What was made is looked at so often: often enough for a short history."""
PROBE_SECONDS: Final = 20.0
_PRIORITIES: Final = "/apis/scheduling.k8s.io/v1/priorityclasses"


class Replica:
    """One replica of the operator over its lives: started, killed, paused, started again."""

    def __init__(
        self,
        name: str,
        *,
        loop: SimLoop,
        network: Network,
        database: Database,
        clock: SimClock,
        rng: random.Random,
        elects: bool,
    ) -> None:
        self.name = name
        self.clock = clock
        self._loop, self._network, self._database, self._rng = loop, network, database, rng
        self._elects = elects
        self._life = 0
        self.operator: Operator | None = None
        self.is_paused = False
        self._is_retired = False

    @property
    def actor(self) -> str:
        """Return who it is in this life."""
        return f"{self.name}#{self._life}"

    def start(self) -> None:
        """Begin a life."""
        if self._is_retired:
            return
        self._life += 1
        context = self._loop.outside.copy()
        context.run(ACTOR.set, self.actor)
        context.run(self._loop.create_task, self._run())

    def kill(self) -> None:
        """End this life at whatever await it is; it begins another after some seconds."""
        self._network.dead.add(self.actor)
        self._loop.kill(self.actor)
        self.is_paused = False
        self.operator = None
        self._loop.later(self._rng.uniform(0.5, 8.0), self.start)

    def retire(self) -> None:
        """End this life, and begin none after it."""
        self._is_retired = True
        self.kill()

    def pause(self, seconds: float) -> None:
        """Stop it for so long, in the middle of whatever it does."""
        if not self.is_paused:
            self.is_paused = True
            self._loop.pause(self.actor)
            self._loop.later(seconds, self._wake, self.actor)

    def wake(self) -> None:
        """Let it go on now, if it is stopped."""
        self._wake(self.actor)

    def _wake(self, actor: str) -> None:
        if actor == self.actor and self.is_paused:
            self.is_paused = False
            self._loop.resume(actor)

    async def _run(self) -> None:
        hub = ApiServer(Endpoint(HUB, token=lambda: f"hub-{self.name}"))
        settings = Settings(
            namespace=NAMESPACE,
            identity=self.actor,
            allow_local_clusters=True,
            leader_election=self._elects,
            drift_seconds=DRIFT_SECONDS,
            gpu_settle_seconds=SETTLE_SECONDS,
            probe_seconds=PROBE_SECONDS,
        )
        operator = Operator(settings, hub, self.clock, self._database.ledger())
        self.operator = operator
        await operator.start()
        feeds = [
            asyncio.create_task(_feed(hub, kind.path(), _object_taker(operator, kind.plural)))
            for kind in KINDS
        ]
        feeds.append(asyncio.create_task(_feed(hub, _PRIORITIES, _priority_taker(operator))))
        # what `process.run` ends by
        works = (operator.stop.wait(), operator.follow_leadership())
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(each) for each in works]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (*feeds, *ends):
            task.cancel()
        await operator.close()
        self._loop.later(self._rng.uniform(0.5, 5.0), self.start)


def _object_taker(operator: Operator, plural: str) -> Any:
    def take(type_: str, obj: dict[str, Any]) -> None:
        if type_ == "DELETED":
            operator.state.shelf(plural).drop(obj["metadata"]["uid"])
        else:
            operator.state.shelf(plural).take(obj)

    return take


def _priority_taker(operator: Operator) -> Any:
    def take(type_: str, obj: dict[str, Any]) -> None:
        value = None if type_ == "DELETED" else int(obj.get("value", 0))
        operator.state.set_priority(obj["metadata"]["name"], value)

    return take


async def _feed(hub: ApiServer, path: str, take: Any) -> None:
    """Follow one collection for ever, as kopf does."""
    version = ""
    while True:
        try:
            if not version:
                listing = await hub.get(path)
                for item in listing["items"]:
                    take("", item)
                version = listing["metadata"]["resourceVersion"]
            version = await _watch(hub, path, version, take)
        except (KubeError, OSError, TimeoutError):
            await asyncio.sleep(0.1)


async def _watch(hub: ApiServer, path: str, version: str, take: Any) -> str:
    """Take events until the stream ends; return where it stands, "" if that is too old."""
    params = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "300"}
    async with hub.stream("GET", path, params=params, silence_seconds=70.0) as response:
        while line := await response.content.readline():
            event = msgspec.json.decode(line)
            if event["type"] == "ERROR":
                return ""
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                take(event["type"], event["object"])
    return version
