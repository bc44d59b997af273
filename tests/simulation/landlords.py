"""Landlords and their machines: nodes come, go, come again by the same name, fall ill and are cordoned."""

import asyncio
from collections.abc import Callable
from typing import Final

from tests.simulation.server import Server
from tests.simulation.store import Key, Object, copy
from tests.simulation.views import ClaimView
from tests.simulation.world import MOST_NODES, World

_LOOKS: Final = 100
"""How often the worst moment is looked for, every 20 ms."""


class Landlords:
    """All landlords."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng

    async def act(self) -> None:
        """Do one thing to one cluster."""
        server = self._rng.choice(list(self._world.leased.values()))
        nodes = list(server.store.all("nodes"))
        act: Callable[..., None] = self._rng.choice(
            (self._add, self._lose, self._make_anew, self._shrink, self._shrink, self._fall_ill, self._fall_ill, self._cordon)
        )  # fmt: skip
        if act == self._add or not nodes:
            self._add(server)
        else:
            act(server, self._rng.choice(nodes))

    async def swap(self) -> None:
        """Make a node anew while a claim is being bound to it: the worst moment."""
        for _ in range(_LOOKS):
            for body in list(self._world.hub.store.all("gpuclaims")):
                claim = ClaimView(body)
                if not claim.is_true("Reserved") or claim.is_true("Bound") or not claim.placements:
                    continue
                place = self._rng.choice(claim.placements)
                server = self._world.leased[place["lease"]]
                node = server.store.get("nodes", "", place["node"])
                if node is not None:
                    self._make_anew(server, node)
                    return
            await asyncio.sleep(0.02)

    def mend(self) -> None:
        """Let every node that is there be well again."""
        for server in self._world.leased.values():
            for node in list(server.store.all("nodes")):
                well = copy(node)
                _set_gpus(well, 8)
                _set_ready(well, ready=True)
                well["spec"].pop("unschedulable", None)
                self._put(server, well)

    def _add(self, server: Server) -> None:
        names = {n["metadata"]["name"] for n in server.store.all("nodes")}
        free = [
            f"{server.name}-{i}" for i in range(MOST_NODES) if f"{server.name}-{i}" not in names
        ]
        if free:
            self._world.remade = True
            self._say(server, f"adds {free[0]}")
            self._world.add_node(server, free[0])

    def _lose(self, server: Server, node: Object) -> None:
        self._say(server, f"loses {node['metadata']['name']}")
        server.store.remove(Key("nodes", "", node["metadata"]["name"]), "landlord")

    def _make_anew(self, server: Server, node: Object) -> None:
        self._world.remade = True
        self._lose(server, node)
        self._world.add_node(server, node["metadata"]["name"])

    def _shrink(self, server: Server, node: Object) -> None:
        changed = copy(node)
        now = int(node["status"]["allocatable"]["nvidia.com/gpu"])
        _set_gpus(changed, self._rng.choice((7, 0)) if now == 8 else 8)
        self._say(server, f"GPUs of {node['metadata']['name']}: {changed['status']['allocatable']}")
        self._put(server, changed)

    def _fall_ill(self, server: Server, node: Object) -> None:
        changed = copy(node)
        ready = changed["status"]["conditions"][0]["status"] == "True"
        _set_ready(changed, ready=not ready)
        self._say(server, f"{node['metadata']['name']} ready: {not ready}")
        self._put(server, changed)

    def _cordon(self, server: Server, node: Object) -> None:
        changed = copy(node)
        changed["spec"]["unschedulable"] = not node["spec"].get("unschedulable", False)
        self._say(server, f"cordons {node['metadata']['name']}")
        self._put(server, changed)

    def _put(self, server: Server, node: Object) -> None:
        server.store.put(Key("nodes", "", node["metadata"]["name"]), node, "landlord")

    def _say(self, server: Server, text: str) -> None:
        self._world.note(f"{server.name}: {text}")


def _set_gpus(node: Object, gpus: int) -> None:
    node["status"]["allocatable"]["nvidia.com/gpu"] = str(gpus)


def _set_ready(node: Object, *, ready: bool) -> None:
    for condition in node["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition["status"] = "True" if ready else "False"
