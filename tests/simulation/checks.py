"""Invariants."""

from tests.simulation.world import World


class Checks:
    def __init__(self, world: World) -> None:
        self.world = world
        self.calm_at = self.rested_at = 0.0
        for s in world.servers.values():
            s.store.followers.append(self._f)

    def _f(self, change) -> None:
        if change.actor and change.key.resource not in ("leases", "events"):
            self.world.writes += 1
            self.world.last_write_at = self.world.loop.time()

    def at_rest(self) -> None: ...
