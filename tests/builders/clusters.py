"""A leased cluster that notes what it is asked, for tests of protocols without an API server."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec

from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.binder.binder import Binder
from sublet.binder.claims import ClaimWriter, Outrun
from sublet.binder.dropped import DroppedFields
from sublet.binder.ports import Tools
from sublet.binder.rests import Rests
from sublet.binder.slots import Promises, Slots
from sublet.fleet.node_turns import NodeTurns
from sublet.kube.errors import Invalid, NotFound
from sublet.kube.lists import ListPage
from sublet.kube.session import Endpoint
from sublet.kube.wire import Named, Node, Pod
from sublet.ledger.entry import EntryType, Fact
from sublet.ledger.port import LedgerUnavailable
from tests.builders.api import NOW
from tests.builders.lines import fact
from tests.builders.wire import page
from tests.harness.fake_api import SteppedClock
from tests.simulation.patches import PatchFailed, json_patch

CLUSTER = "00000000-0000-4000-8000-00000000c1c1"
Call = tuple[str, str]


def clock_at(now_ms: int) -> Any:
    """Return clocks that stand still at an instant: whoever gets a later one later has had that time pass."""
    return SimpleNamespace(now_ms=lambda: now_ms, monotonic=lambda: now_ms / 1_000)


def writer_of(hub: Any, count: Callable[[int], None] = lambda _: None) -> ClaimWriter:
    """Return what writes claims to this hub."""
    return ClaimWriter(hub, DroppedFields(count, SteppedClock()))


def idle_binder(tools: Tools) -> tuple[Binder, asyncio.Event]:
    """Return a binder, and what is set whenever work of it ends."""
    idle = asyncio.Event()
    binder = Binder(
        tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: idle.set()
    )
    return binder, idle


class NotedApi:
    """Answers as a cluster with these nodes in which a claim's namespaces stand; `pods` are on each of its nodes."""

    def __init__(self, claim_uid: str, nodes: dict[str, Node] | None = None, pods: int = 0) -> None:
        self.calls: list[Call] = []
        self._claim_uid = claim_uid
        self._nodes = nodes or {}
        self._pods = pods

    def sent(self, *methods: str) -> list[str]:
        """Return the paths of requests by method."""
        return [path for method, path in self.calls if method in methods]

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        uid = CLUSTER if path.endswith("/kube-system") else "namespace"
        return {"metadata": {"uid": uid, "labels": {"sublet.dev/claim": self._claim_uid}}}

    async def get_as(self, path: str, type_: type, **_: str) -> Any:
        if not issubclass(type_, Node):
            return msgspec.convert(await self.get(path), type_)
        if path not in self._nodes:
            raise NotFound(404, "NotFound", path)
        return self._nodes[path]

    def listed(self, path: str, params: Mapping[str, str]) -> Iterable[object]:
        """Return what a list shows."""
        return [Pod(Named())] * self._pods if path.endswith("/pods") else self._nodes.values()

    async def list_page(self, path: str, params: Mapping[str, str], **_: Any) -> ListPage:
        return page(*self.listed(path, params))

    async def patch_as(self, path: str, _: Any, __: type) -> Node:
        self.calls.append(("PATCH", path))
        return self._nodes[path]

    async def create(self, path: str, _: Any, **__: Any) -> dict[str, Any]:
        self.calls.append(("POST", path))
        return {}

    async def apply(self, path: str, _: Any) -> None:
        self.calls.append(("APPLY", path))

    async def delete(self, path: str, **_: Any) -> None:
        self.calls.append(("DELETE", path))

    async def request(self, method: str, path: str, **_: Any) -> None:
        self.calls.append((method, path))


class Hub:
    """The claim as the hub has it, whoever asks; `refuses` makes every write too late."""

    def __init__(self, live: GpuClaim | None, *, refuses: bool = False) -> None:
        self.live = live
        self._refuses = refuses

    async def get(self, _: GpuClaim) -> GpuClaim | None:
        return self.live

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        if self._refuses:
            raise Outrun("409: an earlier write was applied")
        return claim.model_copy(update={"status": status})


async def _settled(_: GpuClaim) -> None: ...


async def nobody_keeps_it() -> None:
    """Answer who asks the hub whether leftovers are anybody's."""


class Endings:
    """A ledger that knows that some claims have ended, or is away; `runs_on`: in another reservation they run on."""

    def __init__(self, *over: str, is_away: bool = False, runs_on: bool = False) -> None:
        self._over = over
        self._is_away = is_away
        self._runs_on = runs_on
        self.asked = 0

    async def facts_of(self, claim_uids: Sequence[str]) -> list[Fact]:
        """Return the lines of those that have ended."""
        self.asked += 1
        if self._is_away:
            raise LedgerUnavailable("away")
        over = [ClaimUID(uid) for uid in claim_uids if uid in self._over]
        ends = [fact(uid, type_=each) for uid in over for each in (EntryType.OPEN, EntryType.CLOSE)]
        return ends + [replace(fact(uid), sequence=2) for uid in over if self._runs_on]


def looking_tools(ledger: Endings | None = None) -> Any:
    """Return what a look for drift asks of the binder's tools."""
    return SimpleNamespace(hub=None, ledger=ledger or Endings())


def tools_of(hub: Hub, leases: dict[str, Any], apis: dict[str, NotedApi]) -> Any:
    """Return what the binder works with: leases by UID, and the connections that may be written to."""
    clusters = {
        uid: SimpleNamespace(
            api=api,
            lease=leases.get(uid),
            facts=SimpleNamespace(cluster_uid=CLUSTER),
            tenant_endpoint=Endpoint("https://west.example:6443"),
            inventory=lambda: SimpleNamespace(gone=frozenset()),
            node=lambda _: None,
            observe=lambda _: None,
            node_turns=NodeTurns(),
        )
        for uid, api in apis.items()
    }
    return SimpleNamespace(
        claims=hub,
        cluster=clusters.get,
        lease=leases.get,
        leases=leases.values,
        class_=lambda _: None,
        slots=lambda _: Slots(4),
        promises=Promises(),
        steps=SimpleNamespace(took=lambda *_: None),
        clock=SimpleNamespace(now_ms=lambda: NOW + 10**9, monotonic=lambda: 0.0),
        events=SimpleNamespace(note=lambda *_, **__: None),
        meter=SimpleNamespace(settle=_settled),
        ledger=Endings(),
        token_life_seconds=3_600,
        argocd_namespace="",
        grants={},
        rests=Rests(),
    )


class LiveNodes(NotedApi):
    """A cluster whose nodes change as they are patched; each change gives a node another version."""

    async def patch_as(self, path: str, patch: Any, type_: type) -> Node:
        self.calls.append(("PATCH", path))
        body = msgspec.to_builtins(self._nodes[path])
        try:
            json_patch(body, patch)
        except PatchFailed as error:
            raise Invalid(422, "Invalid", str(error)) from error
        self._put(path, body)
        return self._nodes[path]

    def relabel(self, name: str, key: str, value: str | None) -> None:
        """Set a node's label as its landlord does, or take it off."""
        path = f"/api/v1/nodes/{name}"
        body = msgspec.to_builtins(self._nodes[path])
        body["metadata"]["labels"].pop(key, None)
        body["metadata"]["labels"] |= {key: value} if value is not None else {}
        self._put(path, body)

    def annotation(self, name: str, key: str) -> str | None:
        """Return what a node's annotation says."""
        return self._nodes[f"/api/v1/nodes/{name}"].metadata.annotations.get(key)

    def _put(self, path: str, body: dict[str, Any]) -> None:
        version = int(body["metadata"]["resourceVersion"] or "0")
        body["metadata"]["resourceVersion"] = str(version + 1)
        self._nodes[path] = msgspec.convert(body, Node)
