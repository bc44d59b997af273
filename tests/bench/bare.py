"""A bare client that sends the requests of recorded binds for other claims: what the servers give without an operator.

It decides nothing, watches nothing, writes no ledger. Requests that overlapped in the record are sent together, and
those that followed an answer follow it here.
"""

import asyncio
import json
import time
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sublet.kube.errors import ApiError, Forbidden, Unauthorized
from sublet.kube.session import ApiServer
from tests.harness.tracing import Request

_TENANT_TRIES = 100
_TENANT_WAIT_SECONDS = 0.05


@dataclass(frozen=True)
class Names:
    """What differs between two binds: the claim's name and UID, the node's name and UID."""

    claim: str
    claim_uid: str
    node: str
    node_uid: str

    def pairs(self, other: "Names") -> list[tuple[str, str]]:
        """Return what is to be replaced by what."""
        mine = (self.claim_uid, self.node_uid, self.claim, self.node)
        return list(
            zip(mine, (other.claim_uid, other.node_uid, other.claim, other.node), strict=True)
        )


@dataclass(frozen=True)
class Bind:
    """A recorded bind: steps, each of which is requests that were under way at once."""

    names: Names
    steps: tuple[tuple[Request, ...], ...]

    @property
    def locking(self) -> int:
        """Return how many steps there are until the node is locked, that one with them."""
        return 1 + next(i for i, step in enumerate(self.steps) if any(map(is_lock, step)))


def is_lock(request: Request) -> bool:
    """Say whether a request locks a node: adopting one says how it is shared."""
    patched = request.method == "PATCH" and "/api/v1/nodes/" in request.path
    return patched and "sublet.dev~1sharing" not in request.body


def recorded_bind(names: Names, requests: Iterable[Request]) -> Bind:
    """Return one claim's bind from the whole trace of an operator."""
    marks = (names.claim_uid, f"/{names.claim}")
    mine = [r for r in requests if r.is_about(*marks) and not r.failed]
    return Bind(names, tuple(_steps(sorted(mine, key=lambda r: r.begun))))


def _steps(requests: list[Request]) -> Iterator[tuple[Request, ...]]:
    """Yield groups: a request joins one if none of the group was answered before it was sent."""
    group: list[Request] = []
    for each in requests:
        if group and each.begun >= min(r.ended for r in group):
            yield tuple(group)
            group = []
        group.append(each)
    if group:
        yield tuple(group)


async def play(
    binds: list[tuple[Bind, Names, dict[str, Any]]], hub: ApiServer, leased: ApiServer, at_once: int
) -> tuple[float, float]:
    """Send every bind for its other claim, so many at once; return locks and binds per second. Raises at any refusal.

    All are locked before the rest of any is sent, as the operator does it: a lock waits for nothing.
    """
    slots = asyncio.Semaphore(at_once)
    players = [_Player(*each, hub, leased) for each in binds]

    async def one(steps: Coroutine[Any, Any, None]) -> None:
        async with slots:
            await steps

    begun = time.perf_counter()
    await asyncio.gather(*(one(player.lock()) for player in players))
    locked = time.perf_counter()
    await asyncio.gather(*(one(player.finish()) for player in players))
    return len(binds) / (locked - begun), len(binds) / (time.perf_counter() - begun)


class _Player:
    def __init__(
        self, bind: Bind, names: Names, claim: dict[str, Any], hub: ApiServer, leased: ApiServer
    ) -> None:
        self._bind = bind
        self._pairs = bind.names.pairs(names)
        self._claim = claim
        self._hub = hub
        self._leased = leased
        self._own = {r.identity for step in bind.steps for r in step if "/nodes/" in r.path}
        self._tenant: ApiServer | None = None
        self._versions: dict[str, str] = {}  # path -> resourceVersion that was answered last

    async def lock(self) -> None:
        """Send what is sent until the node is locked."""
        await self._play(self._bind.steps[: self._bind.locking])

    async def finish(self) -> None:
        """Send the rest."""
        await self._play(self._bind.steps[self._bind.locking :])

    async def _play(self, steps: Iterable[tuple[Request, ...]]) -> None:
        for step in steps:
            await asyncio.gather(*(self._send(request) for request in step))

    async def _send(self, request: Request) -> None:
        path, text = self._mine(request.path), self._mine(request.body)
        is_status = request.method == "PUT" and path.endswith("/status")
        if is_status:
            text = _at_version(text, self._claim["metadata"]["resourceVersion"])
        elif request.method == "PUT" and path in self._versions:
            text = _at_version(text, self._versions[path])  # a bind that lost a race wrote it twice
        try:
            answer = await self._answer(request, path, text.encode() or None)
        except ApiError as error:
            raise AssertionError(f"{request.method} {path}: {error}") from error
        if is_status:
            self._claim = json.loads(answer)
        elif request.method in ("POST", "PUT") and "/secrets" in path:
            meta = json.loads(answer)["metadata"]
            at = path if request.method == "PUT" else f"{path}/{meta['name']}"
            self._versions[at] = meta["resourceVersion"]
        if path.endswith("/token"):
            self._tenant = self._leased.with_token(json.loads(answer)["status"]["token"])

    async def _answer(self, request: Request, path: str, body: bytes | None) -> bytes:
        """Send a request; a tenant's, again while the API server doesn't know its new rights yet."""
        server = self._server(request)
        tries = _TENANT_TRIES if server is self._tenant else 1
        while True:
            tries -= 1
            try:
                return await server.request(
                    request.method, path, params=request.params,
                    content_type=request.content_type, body=body,
                )  # fmt: skip
            except (Forbidden, Unauthorized):
                if not tries:
                    raise
            await asyncio.sleep(_TENANT_WAIT_SECONDS)

    def _server(self, request: Request) -> ApiServer:
        if request.server != self._leased.endpoint.server:
            return self._hub
        if request.identity in self._own or self._tenant is None:
            return self._leased
        return self._tenant

    def _mine(self, text: str) -> str:
        for old, new in self._pairs:
            text = text.replace(old, new)
        return text


def _at_version(text: str, version: str) -> str:
    """Return an object that is to replace this version of it."""
    body = json.loads(text)
    body["metadata"]["resourceVersion"] = version
    return json.dumps(body)


def node_of(claim: dict[str, Any]) -> tuple[str, str]:
    """Return the name and UID of a one-node claim's node."""
    (place,) = claim["status"]["allocation"]["placements"]
    return place["node"], place["nodeUID"]


def names_of(claim: dict[str, Any], node: str, node_uid: str) -> Names:
    """Return the names of a claim's bind on a node."""
    meta = claim["metadata"]
    return Names(meta["name"], meta["uid"], node, node_uid)
