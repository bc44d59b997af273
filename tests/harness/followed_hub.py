"""A hub that kopf can follow: what it serves, and five collections of which the claims are a `FakeApi`'s own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from sublet.api.kinds import CLAIMS, KINDS, Kind
from sublet.api.names import GROUP, VERSION
from tests.harness.fake_api import FakeApi, fake_api

PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
SERVED = f"/apis/{GROUP}/{VERSION}"


@asynccontextmanager
async def followed_hub() -> AsyncIterator[FakeApi]:
    """Run a hub on loopback; `objects` has what it says that it serves."""
    async with fake_api(CLAIMS.path()) as fake:
        fake.objects |= {
            "/api": {"versions": ["v1"]},
            "/api/v1": {"resources": [_resource("namespaces", "Namespace")]},
            "/apis": {"groups": [_group(GROUP, VERSION), _group("scheduling.k8s.io", "v1")]},
            SERVED: {"resources": [of_kind(kind) for kind in KINDS]},
            "/apis/scheduling.k8s.io/v1": {"resources": [_resource("priorityclasses", "PriorityClass")]},
            **{kind.path(): empty for kind in KINDS if kind is not CLAIMS},
            PRIORITIES: empty,
        }  # fmt: skip
        yield fake


def of_kind(kind: Kind) -> dict[str, Any]:
    """Return how a hub says that it serves a kind."""
    return _resource(kind.plural, kind.name, namespaced=kind.namespaced)


def _resource(name: str, kind: str, *, namespaced: bool = False) -> dict[str, Any]:
    verbs = ["get", "list", "watch", "patch"]
    return {"name": name, "kind": kind, "singularName": kind.lower(), "namespaced": namespaced, "verbs": verbs}  # fmt: skip


def _group(name: str, version: str) -> dict[str, Any]:
    return {"name": name, "versions": [{"version": version}], "preferredVersion": {"version": version}}  # fmt: skip


async def empty(request: web.Request) -> web.StreamResponse:
    """Answer as a collection without objects, in which nothing happens."""
    if request.query.get("watch"):
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
    return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
