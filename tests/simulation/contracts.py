"""What landlords and the platform agree on while claims run: ends of leases, maintenance, prices."""

from collections.abc import Callable
from typing import Any, Final

from sublet.api.times import Millis, format_instant
from tests.simulation.world import World

_API: Final = "/apis/sublet.dev/v1alpha1"


class Contracts:
    """All contracts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng

    async def act(self) -> None:
        """Change one thing of one lease, or of the class."""
        acts: tuple[Callable[[], None], ...] = (
            self._end,
            self._end,
            self._prolong,
            self._maintain,
            self._reprice,
            self._lead,
        )
        self._rng.choice(acts)()

    def _end(self) -> None:
        """Let a lease end soon: with claims in it, which are moved where the class wants that."""
        self._set(self._lease(), "/spec/term/endTime", self._instant(self._rng.uniform(2.0, 90.0)))

    def _prolong(self) -> None:
        """Let a lease end late, if it hasn't ended."""
        self._set(self._lease(), "/spec/term/endTime", self._instant(30 * 86_400.0))

    def _maintain(self) -> None:
        """Announce a window in which nothing of a lease may be used."""
        begin = self._rng.uniform(2.0, 60.0)
        window = {
            "startTime": self._instant(begin),
            "endTime": self._instant(begin + self._rng.uniform(2.0, 60.0)),
        }
        self._set(self._lease(), "/spec/maintenance", [window])

    def _reprice(self) -> None:
        """Let the class cost something else from some moment on."""
        price = {
            "effectiveTime": self._instant(self._rng.uniform(0.0, 20.0)),
            "perGpuHour": f"{self._rng.randint(1, 9)}.25",
        }
        self._set("gpuclasses/h100", "/spec/prices/-", price)

    def _lead(self) -> None:
        """Let claims be moved so long before their lease ends."""
        self._set("gpuclasses/h100", "/spec/moveLeadSeconds", self._rng.choice((10, 60, 86_400)))

    def _lease(self) -> str:
        return f"gpuleases/{self._rng.choice(list(self._world.leased))}"

    def _instant(self, in_seconds: float) -> str:
        return format_instant(Millis(self._world.now_ms() + int(in_seconds * 1000)))

    def _set(self, what: str, path: str, value: Any) -> None:
        self._world.note(f"{what}: {path} is {value}")
        patch = [{"op": "add", "path": path, "value": value}]
        self._world.admin(self._world.hub, "PATCH", f"{_API}/{what}", patch)
