"""`sublet.verify` over the whole world at one instant: the checker that ships, beside the checks of this tier.

It reads by requests like a person would, on a loop of its own that takes no virtual time, so nothing happens meanwhile.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from sublet.api.ids import LeaseUID
from sublet.kube.errors import error_from_status
from sublet.ledger.chain import Proof, verify
from sublet.ledger.entry import Entry
from sublet.verify.find import find_violations
from sublet.verify.reader import WorldReader
from sublet.verify.violation import Violation
from tests.simulation.answers import Refused, Request
from tests.simulation.clock import SimClock
from tests.simulation.ledger import Database
from tests.simulation.loop import SimLoop
from tests.simulation.server import Server
from tests.simulation.world import World

AUDITOR: Final = "auditor"
"""Who asks, for those who write down what servers are asked."""


class Audit:
    """Reads the world whenever it is asked to."""

    def __init__(self, world: World) -> None:
        sources: Mapping[LeaseUID, Any] = {
            LeaseUID(lease["metadata"]["uid"]): _Source(world.leased[lease["metadata"]["name"]])
            for lease in world.hub.store.all("gpuleases")
        }
        lines: Any = _Lines(world.database)
        clock = SimClock(world.loop)
        self._world = world
        self._reader = WorldReader(_Source(world.hub), sources, lines, clock=clock)
        self._loop = SimLoop(random.Random(0))

    def find(self, *, settled: bool) -> Iterator[Violation]:
        """Yield what doesn't hold now."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            seen = self._loop.run_until_complete(self._reader.read())
        finally:
            asyncio._set_running_loop(outer)
        for violation in find_violations(seen, settled=settled):
            # a landlord's machine that joins anew under running pods is told to people, and is no operator's doing
            if not (violation.subject.startswith("pod ") and self._world.remade):
                yield violation
        for unknown in seen.unknown:
            yield Violation("unread", unknown.subject, unknown.message)

    def close(self) -> None:
        """End its loop."""
        self._loop.close()


class _Source:
    """One server, asked at once; while nothing is written to it, once for all."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._at = (0, 0)  # what was read last, by the server's epoch and version
        self._known: dict[tuple[str, ...], Any] = {}

    async def get(self, path: str, **params: str) -> Any:
        store = self._server.store
        if self._at != (store.epoch, store.version):
            self._at = (store.epoch, store.version)
            self._known.clear()
        key = (path, *params.values())
        if key not in self._known:
            self._known[key] = self._ask(path, params)
        return self._known[key]

    def _ask(self, path: str, params: Mapping[str, str]) -> Any:
        try:
            answer = self._server.handle(Request("GET", path, params, actor=AUDITOR), "admin")
        except Refused as refused:
            raise error_from_status(refused.status, refused.body) from refused
        return msgspec.json.decode(answer)

    async def list_metadata(self, path: str, type_: type[Any], **params: str) -> Any:
        return msgspec.convert(await self.get(path, **params), type_)


class _Lines:
    """The ledger's lines as they are stored; read anew only after something was written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._at = -1
        self._entries: list[Entry] = []
        self._proof: Proof
        self._texts: dict[str, str] = {}

    async def read_entries(self, after_seq: int = 0) -> list[Entry]:
        self._look()
        return self._entries

    async def verify(self) -> Proof:
        self._look()
        return self._proof

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        self._look()
        if missing := [h for h in hashes if h not in self._texts]:
            self._texts |= self._database.texts(missing)
        return self._texts

    def _look(self) -> None:
        if self._at != self._database.changes:
            self._at = self._database.changes
            self._entries, ids = self._database.lines()
            self._proof = verify(self._entries, ids)
            self._texts.clear()
