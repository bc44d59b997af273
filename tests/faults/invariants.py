"""The invariants, looked at by a separate reader: after each write that was committed, and when everything has come to rest."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import aiohttp

from sublet.api.ids import LeaseUID
from sublet.ledger.chain import Proof
from sublet.ledger.entry import Entry
from sublet.store.sql import SqlLedger
from sublet.verify.find import find_violations
from sublet.verify.reader import WorldReader
from tests.faults.unchanged import Unchanged
from tests.faults.world import World

EVENTUALLY_SECONDS: Final = 60.0
"""Within which what holds at rest must hold; controllers of the planes take their time, too."""


class _Clusters(Mapping[LeaseUID, Unchanged]):
    """lease UID -> its cluster, as the plane's admin."""

    def __init__(self, world: World, planes: Mapping[str, Unchanged]) -> None:
        self._world, self._planes = world, planes

    def __getitem__(self, uid: LeaseUID) -> Unchanged:
        return self._planes[self._world.leases[uid]]

    def __iter__(self) -> Iterator[LeaseUID]:
        return (LeaseUID(uid) for uid in self._world.leases)

    def __len__(self) -> int:
        return len(self._world.leases)


class _Ledger:
    """The ledger as far as this run's claims have lines; earlier runs were looked at when they ended."""

    def __init__(self, world: World, ledger: SqlLedger) -> None:
        self._world, self._ledger = world, ledger
        self._all: list[Entry] = []

    async def read_entries(self, after_seq: int = 0) -> list[Entry]:
        """Return this run's entries in order."""
        self._all += await self._ledger.read_entries(self._all[-1].seq if self._all else 0)
        return [e for e in self._all if e.fact.claim_uid in self._world.seen]

    async def verify(self) -> Proof:
        """Leave the proof of the chain to the end of the workload."""
        return Proof(len(self._all), "", None)

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the texts behind hashes."""
        return await self._ledger.read_terms(hashes)


class Invariants:
    """Reads a world and names what doesn't hold."""

    def __init__(self, world: World) -> None:
        self._ledger = SqlLedger(f"sqlite:///{world.database}")
        self._reading = asyncio.Lock()
        self._http = aiohttp.ClientSession()
        self._planes = {
            plane: Unchanged(api, world.etcd(plane), self._http) for plane, api in world.api.items()
        }
        self._reader = WorldReader(
            self._planes["hub"], _Clusters(world, self._planes), _Ledger(world, self._ledger)
        )

    async def now(self) -> list[str]:
        """Return what is violated between two writes."""
        return await self._look(settled=False)

    async def at_rest(self) -> list[str]:
        """Return what is violated at rest, once it has had its time."""
        deadline = time.monotonic() + EVENTUALLY_SECONDS
        while (found := await self._look(settled=True)) and time.monotonic() < deadline:  # noqa: ASYNC110  other processes have no event of ours
            await asyncio.sleep(0.3)
        return found

    async def prove(self) -> list[str]:
        """Return what is wrong with the ledger as a whole."""
        fault = (await self._ledger.verify()).fault
        return [fault] if fault else []

    async def close(self) -> None:
        """Close the ledger and the connections to etcd."""
        await self._ledger.close()
        await self._http.close()

    async def _look(self, *, settled: bool) -> list[str]:
        async with self._reading:
            await asyncio.gather(*(plane.look() for plane in self._planes.values()))
            seen = await self._reader.read()
        unread: list[Any] = list(seen.unknown) if settled else []
        return [str(v) for v in (*find_violations(seen, settled=settled), *unread)]
