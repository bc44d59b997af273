"""Kubernetes Events on claims: few, one per transition, posted without anyone waiting for them."""

import asyncio
from typing import Any

import structlog

from sublet.api.common import API_VERSION
from sublet.api.gpuclaim import GpuClaim
from sublet.api.times import format_micro
from sublet.clock import Clock
from sublet.kube.errors import KubeError
from sublet.kube.session import ApiServer

_QUEUE = 1_000


class HubEvents:
    """Implements `sublet.binder.ports.Events`; `run` posts what was noted."""

    def __init__(self, hub: ApiServer, clock: Clock, identity: str) -> None:
        self._hub = hub
        self._clock = clock
        self._identity = identity
        self._queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(_QUEUE)
        self._count = 0

    def note(self, claim: GpuClaim, reason: str, message: str, *, warning: bool = False) -> None:
        """Queue one Event; dropped if a thousand wait, since an Event is only news."""
        meta, now = claim.metadata, self._clock.now_ms()
        self._count += 1
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{meta.name[:200]}.{now:x}.{self._count:x}",
                "namespace": meta.namespace,
            },
            "eventTime": format_micro(now),
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "action": reason,
            "note": message[:1_000],
            "reportingController": "sublet.dev/operator",
            "reportingInstance": self._identity[:128],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": "GpuClaim",
                "name": meta.name,
                "namespace": meta.namespace,
                "uid": meta.own_uid,
            },
        }
        if not self._queue.full():
            self._queue.put_nowait((meta.namespace, event))

    async def run(self) -> None:
        """Post queued Events for ever; a failed one is logged and forgotten."""
        while True:
            namespace, event = await self._queue.get()
            try:
                await self._hub.create(
                    f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event
                )
            except KubeError as error:
                structlog.get_logger().info(
                    "event not posted", reason=event["reason"], error=str(error)
                )
