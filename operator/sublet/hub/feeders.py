"""From the hub's watches into `HubState`. Thin: no decision, no write.

Sublet's kinds and PriorityClasses come through kopf; credential Secrets through our informer, because the operator
may list Secrets in its own namespace only. A slow metadata re-list catches what a watch lost.
"""

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

import kopf
import msgspec
import structlog

from sublet.api.kinds import KINDS, Kind
from sublet.api.names import GROUP, VERSION
from sublet.clock import Clock
from sublet.fleet.credential import CREDENTIALS_LABEL
from sublet.hub.state import HubState
from sublet.kube.errors import KubeError
from sublet.kube.hub_lists import MOST_PAGES, PAGE_SIZE, objects
from sublet.kube.informer import Informer, Target
from sublet.kube.paging import items
from sublet.kube.session import ApiServer
from sublet.kube.versions import is_newer
from sublet.kube.waiting import is_set_within
from sublet.kube.wire import HasMeta, Meta, Name, Named

_PRIORITIES: Final = "/apis/scheduling.k8s.io/v1/priorityclasses"
_DOUBT_SECONDS: Final = 2.0
"""Watches tell within milliseconds what is gone; what is still here by then is looked up."""


_MOST_UNKNOWN: Final = 100
"""Objects, or changes, of which no watch has told that one sweep reads; there are none as a rule."""


class Secret(HasMeta):
    """A Secret, narrow."""

    data: dict[str, str] = msgspec.field(default_factory=dict)


class _Versioned(Named, rename="camel"):
    resource_version: Name = ""


class _HasVersion(msgspec.Struct):
    metadata: _Versioned


def register_feeders(registry: kopf.OperatorRegistry, state: HubState) -> None:
    """Register one event handler per kind; each only copies what it is told."""
    for kind in KINDS:
        kopf.on.event(GROUP, VERSION, kind.plural, registry=registry, id=kind.plural)(
            _object_feeder(state, kind.plural)
        )

    @kopf.on.event("scheduling.k8s.io", "v1", "priorityclasses", registry=registry, id="priorities")
    async def _priority(event: Any, body: Any, name: str, **_: Any) -> None:
        gone = event.get("type") == "DELETED"
        state.set_priority(name, None if gone else int(body.get("value", 0)))


def _object_feeder(state: HubState, plural: str) -> Callable[..., Any]:
    async def feed(event: Any, uid: str, **_: Any) -> None:
        if event.get("type") == "DELETED":
            state.shelf(plural).drop(uid)
        else:
            state.shelf(plural).take(event["object"])

    return feed


def credentials_informer(
    hub: ApiServer, namespace: str, state: HubState, clock: Clock, changed: Callable[[], None]
) -> Informer[Secret]:
    """Return the informer of the credential Secrets; the caller runs it."""

    def upsert(secret: Secret) -> None:
        data = {}
        for key, text in secret.data.items():
            try:
                data[key] = base64.b64decode(text, validate=True)
            except binascii.Error:
                continue
        state.set_credentials(secret.metadata.name, data, secret.metadata.resource_version)

    def delete(meta: Meta) -> None:
        state.set_credentials(meta.name, None)

    target = Target(
        f"/api/v1/namespaces/{namespace}/secrets", label_selector=f"{CREDENTIALS_LABEL}=true"
    )
    return Informer(
        hub, target, Secret, upsert=upsert, delete=delete, changed=changed, clock=clock,
        lists=asyncio.Semaphore(1),
    )  # fmt: skip


async def first_list(hub: ApiServer, state: HubState) -> None:
    """Read everything once, so that the first plan sees the whole hub; kopf follows the changes."""
    for kind in KINDS:
        async for item in objects(hub, kind.path()):
            state.shelf(kind.plural).take(item)
    async for item in objects(hub, _PRIORITIES):
        state.set_priority(item["metadata"]["name"], int(item.get("value", 0)))
    state.synced = True


async def sweep_forever(
    hub: ApiServer, state: HubState, every_seconds: float, *, doubt_seconds: float = _DOUBT_SECONDS
) -> None:
    """Compare the hub's objects with ours now and then: what a live list doesn't show is gone, what is newer is read.

    Soon after a write found an object gone: else every pass would write to it until the next time.
    """
    while True:
        if await is_set_within(state.doubted, every_seconds):
            await asyncio.sleep(doubt_seconds)
        state.doubted.clear()
        for kind in KINDS:
            before = state.shelf(kind.plural).object_uids()
            if (live := await _live(hub, kind.path())) is not None:
                for uid in before - {each.uid for each in live}:
                    state.shelf(kind.plural).drop(uid)
                for each in [x for x in live if _is_unknown(state, kind, x)][:_MOST_UNKNOWN]:
                    if _is_unknown(state, kind, each):  # the watch may have told meanwhile
                        await _read_unknown(hub, state, kind, each)
        names = set(state.priorities)
        if (live := await _live(hub, _PRIORITIES)) is not None:
            for name in names - {each.name for each in live}:
                state.set_priority(name, None)


def _is_unknown(state: HubState, kind: Kind, each: _Versioned) -> bool:
    """Say whether nothing of an object is known, or only an older version."""
    known = state.shelf(kind.plural).version(each.uid)
    return known is None or is_newer(each.resource_version, known)


async def _read_unknown(hub: ApiServer, state: HubState, kind: Kind, each: Named) -> None:
    """Take what no watch has told of an object."""
    try:
        await read_anew(hub, state, kind, each.key)
    except KubeError as error:
        path = kind.path(each.namespace)
        structlog.get_logger().warning("sweep failed", path=path, error=str(error))


async def read_anew(hub: ApiServer, state: HubState, kind: Kind, key: str) -> str | None:
    """Take an object as it is, by `namespace/name` or name; return its version, None if it is gone. KubeError as it comes.

    By a list, which needs no right of its own.
    """
    namespace, _, name = key.rpartition("/")
    listing = await hub.get(kind.path(namespace), fieldSelector=f"metadata.name={name}")
    found = next(iter(listing["items"]), None)
    if found is None:
        return None
    state.shelf(kind.plural).take(found)
    return str(found["metadata"]["resourceVersion"])


async def _live(hub: ApiServer, path: str) -> list[_Versioned] | None:
    """Return the names and versions of what a live list shows, None if there is none now."""
    found = items(hub, path, _HasVersion, most=MOST_PAGES, limit=PAGE_SIZE, metadata_only=True)
    try:
        return [item.metadata async for item in found]
    except KubeError as error:
        structlog.get_logger().warning("sweep failed", path=path, error=str(error))
        return None
