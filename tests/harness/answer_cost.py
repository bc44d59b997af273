"""What one answer of a landlord costs: a process of its own prints by how many MB it grew at most, as JSON by reader and lie.

How a reading ends is the reader's business.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestServer

from sublet.api.ids import ClusterUID
from sublet.binder.marks import read_marked
from sublet.binder.pods import list_pods
from sublet.clock import SystemClock
from sublet.drift.look import look
from sublet.fleet.drift import PolicyWatch
from sublet.fleet.isolation import prove_isolation
from sublet.fleet.rights import find_missing_rights
from sublet.kube.errors import KubeError
from sublet.kube.identity import read_cluster_uid
from sublet.kube.informer import Informer, Target
from sublet.kube.session import STRANGERS_LIMITS, ApiServer, Endpoint
from sublet.kube.wire import Node
from tests.builders.api import as_lease, uid_of
from tests.harness.fake_api import saying

MB: Final = 1024 * 1024
UID: Final = ClusterUID(uid_of("cluster"))


def _filled(begin: bytes, unit: bytes, end: bytes, megabytes: float = 31) -> bytes:
    return begin + unit * int(megabytes * MB / len(unit)) + unit.rstrip(b",") + end


def _object(megabytes: float) -> bytes:
    begin = b'{"metadata":{"uid":"%s"},"x":[' % UID.encode()
    return _filled(begin, b"[],", b"]}", megabytes)


def _list_of(unit: bytes) -> bytes:
    return _filled(b'{"metadata":{"resourceVersion":"1"},"items":[', unit, b"]}")


def _objects_with(spec: bytes, megabytes: float, count: int) -> bytes:
    """Return a list of objects in which a list of empty objects stands somewhere."""
    begin = b'{"metadata":{"name":"n","uid":"%s"},"spec":{%s:[' % (UID.encode(), spec)
    each = _filled(begin, b"{},", b"]}}", megabytes)
    return b'{"metadata":{"resourceVersion":"1"},"items":[%s]}' % b",".join([each] * count)


LIES: Final[Mapping[str, Callable[[], bytes]]] = {
    "an object of lists": lambda: _object(31),
    "an object of lists that is none too large": lambda: _object(2.9),
    "items that are lists": lambda: _list_of(b"[],"),
    "items without anything": lambda: _list_of(b"{},"),
    "items without a name": lambda: _list_of(b'{"metadata":{}},'),
    "one node of taints": lambda: _objects_with(b'"taints"', 31, 1),
    "nodes of taints": lambda: _objects_with(b'"taints"', 2.9, 10),
    "pods of containers": lambda: _objects_with(b'"containers"', 9, 3),
}


async def _follow(api: ApiServer) -> None:
    informer = Informer(
        api,
        Target("/api/v1/nodes"),
        Node,
        upsert=lambda _: None,
        delete=lambda _: None,
        changed=lambda: None,
        clock=SystemClock(),
        lists=asyncio.Semaphore(1),
    )
    await informer._list()


def _cluster(api: ApiServer) -> Any:
    facts = SimpleNamespace(cluster_uid=UID)
    return SimpleNamespace(api=api, lease=as_lease(), lease_uid="x", facts=facts)


_LISTS: Final = ("items that are lists", "items without anything", "items without a name")
_OBJECTS: Final = ("an object of lists", "an object of lists that is none too large")
READERS: Final[Mapping[str, tuple[Callable[[ApiServer], Awaitable[object]], tuple[str, ...]]]] = {
    "kube-system": (read_cluster_uid, _OBJECTS),
    "the proof": (prove_isolation, _OBJECTS),
    "rights": (find_missing_rights, _OBJECTS),
    "policies": (lambda api: PolicyWatch(api).changed(), _LISTS),
    "nodes": (_follow, (*_LISTS, "one node of taints", "nodes of taints")),
    "marks": (lambda api: read_marked(_cluster(api), as_lease(), is_over=False), _LISTS),
    "pods": (lambda api: list_pods(api, "/api/v1/pods"), (*_LISTS, "pods of containers")),
    "drift": (lambda api: look(_cluster(api)), (*_LISTS, "nodes of taints")),
}
"""Who reads -> how, and what he is told."""


def _memory_mb(what: str) -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(x.split()[1]) for x in status.splitlines() if x.startswith(what)) / 1024


def _begin() -> float:
    """Let the peak begin anew; return what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory_mb("VmRSS")


async def _cost(read: Callable[[ApiServer], Awaitable[object]], lie: bytes) -> int:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", saying(lie))
    server = TestServer(app)
    await server.start_server()
    async with server, ApiServer(Endpoint(str(server.make_url("/"))), STRANGERS_LIMITS) as api:
        before = _begin()
        with suppress(KubeError):
            await read(api)
        return round(_memory_mb("VmHWM") - before)


def _costs() -> dict[str, dict[str, int]]:
    return {
        reader: {lie: asyncio.run(_cost(read, LIES[lie]())) for lie in lies}
        for reader, (read, lies) in READERS.items()
    }


if __name__ == "__main__":
    print(json.dumps(_costs()))
