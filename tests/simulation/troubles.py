"""What goes wrong with machines, networks, clocks and databases."""

import asyncio

from tests.simulation.network import Link
from tests.simulation.server import Server
from tests.simulation.store import Saved
from tests.simulation.world import World


class Troubles:
    """All of them; each is counted."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng

    def begin(self) -> None:
        """Let single messages go wrong from now on."""
        for link in self._world.links:
            link.kinds = frozenset(self._world.plan.faults)
        for controllers in self._world.controllers:
            controllers.slow = self._world.plan.slow_controllers

    def end(self) -> None:
        """Let nothing go wrong any more."""
        for link in self._world.links:
            link.kinds = frozenset()
            link.heal()
        for controllers in self._world.controllers:
            controllers.slow = False
        for replica in self._world.replicas:
            replica.wake()
        self._world.database.away = self._world.database.unsteady = False
        self._world.skews_ms.clear()

    async def crash(self) -> None:
        """Kill an operator at whatever await it is."""
        replica = self._rng.choice(self._world.replicas)
        if replica.operator is not None:
            self._count("crash", replica.actor)
            replica.kill()

    async def pause(self) -> None:
        """Stop an operator's machine for a while: it wakes with everything it meant to do."""
        replica = self._rng.choice(self._world.replicas)
        seconds = self._rng.choice((0.5, 5.0, 20.0, 60.0)) * self._rng.random()
        self._count("pause", f"{replica.actor} {seconds:.1f} s")
        replica.pause(seconds)

    async def partition(self) -> None:
        """Cut one operator, or all, off from one cluster for a while."""
        links = list(self._world.links)
        chosen = self._rng.choice(links)
        both = self._rng.random() < 0.5
        cut = [x for x in links if x.server is chosen.server] if both else [chosen]
        seconds = self._rng.choice((1.0, 10.0, 60.0)) * self._rng.random()
        self._count(
            "partition", f"{[x.name for x in cut]} from {chosen.server.name} {seconds:.1f} s"
        )
        for link in cut:
            link.clog()
        await asyncio.sleep(seconds)
        for link in cut:
            self._heal(link)

    async def clog(self) -> None:
        """Swizzle-clogging: stop a random part of the links one by one, restore them in another order."""
        links = list(self._world.links)
        some = self._rng.sample(links, self._rng.randint(1, len(links)))
        for link in some:
            self._count("clog", f"{link.name} from {link.server.name}")
            link.clog()
            await asyncio.sleep(self._rng.uniform(0.0, 3.0))
        self._rng.shuffle(some)
        for link in some:
            await asyncio.sleep(self._rng.uniform(0.0, 3.0))
            self._heal(link)

    async def jump(self) -> None:
        """Move an operator's clock."""
        replica = self._rng.choice(self._world.replicas)
        seconds = self._rng.choice((1.0, 5.0, 60.0)) * self._rng.uniform(-1.0, 1.0)
        self._count("clock jump", f"{replica.name} {seconds:+.1f} s")
        replica.clock.skew_ms += int(seconds * 1000)

    async def jump_server(self) -> None:
        """Move a server's clock, by up to hours."""
        server = self._rng.choice(list(self._world.servers.values()))
        seconds = self._rng.choice((60.0, 600.0, 6 * 3600.0)) * self._rng.uniform(-1.0, 1.0)
        self._count("server clock jump", f"{server.name} {seconds:+.0f} s")
        self._world.skews_ms[server.name] += int(seconds * 1000)

    async def lose_ledger(self) -> None:
        """Take the ledger's store away for a while, or let it lose answers."""
        database = self._world.database
        self._count("ledger trouble", "")
        if self._rng.random() < 0.5:
            database.unsteady = True
        database.away = True
        await asyncio.sleep(self._rng.uniform(0.1, 20.0))
        database.away = False

    async def compact(self) -> None:
        """Compact a server's log and end its watches: who comes back is too late."""
        server = self._rng.choice(list(self._world.servers.values()))
        self._count("compaction", server.name)
        server.store.compact()
        self._cut_watches(server)

    async def rewind(self) -> None:
        """Restore a leased cluster from a backup of some seconds ago: versions go back with everything else."""
        server = self._rng.choice(list(self._world.leased.values()))
        saved = server.store.backup()
        seconds = await self._pass_time()
        self._count("rewind", f"{server.name} {seconds:.1f} s")
        self._world.rewound = self._world.remade = True
        self._restore(server, saved)

    async def rewind_hub(self) -> None:
        """Restore the hub while no operator runs; of what docs/backup.md says to do then no more is done."""
        saved = self._world.hub.store.backup()
        seconds = await self._pass_time()
        self._count("hub rewind", f"{seconds:.1f} s")
        self._world.is_hub_older = True
        for replica in self._world.replicas:
            if replica.operator is not None:
                replica.kill()
        self._restore(self._world.hub, saved)

    async def _pass_time(self) -> float:
        seconds = self._rng.choice((0.5, 3.0, 15.0)) * self._rng.random()
        await asyncio.sleep(seconds)
        return seconds

    def _restore(self, server: Server, saved: Saved) -> None:
        server.store.restore(saved)
        self._cut_watches(server)
        for controllers in self._world.controllers:
            controllers.resync()

    def _cut_watches(self, server: Server) -> None:
        for link in self._world.links:
            if link.server is server:
                for watch in list(link.watches):
                    watch.reset()

    def _heal(self, link: Link) -> None:
        link.heal()
        self._world.note(f"{link.name} reaches {link.server.name} again")

    def _count(self, kind: str, text: str) -> None:
        self._world.faults[kind] += 1
        self._world.note(f"{kind} {text}")
