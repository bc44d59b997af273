"""Kubernetes Events on claims: few, one per transition, posted without anyone waiting for them, again if the hub is in trouble.

Which there are, and what their readers can do, stands in `sublet.api.event_reasons`.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog

from sublet.api.event_reasons import EVENTS, EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.names import API_VERSION
from sublet.api.times import Millis, format_micro
from sublet.clock import Clock
from sublet.kube.errors import Conflict, KubeError, ServerError, TooManyRequests, Unreachable
from sublet.kube.session import ApiServer

AGAIN_SECONDS: Final = (1.0, 2.0, 4.0, 8.0)
"""Waits between the tries to post one Event."""
_What = tuple[str, str, str]
"""claim UID, reason and message"""
_QUEUE = 1_000
_SHOWN_MS = 3_600_000
_REMEMBERED = 10_000
_TROUBLE: Final = (Unreachable, ServerError, TooManyRequests)
_NOTE_BYTES = 1_024
"""So long a note may be: an API server counts bytes and refuses a longer one."""


class HubEvents:
    """Implements `sublet.binder.ports.Events`; `run` posts what was noted."""

    def __init__(
        self,
        hub: ApiServer,
        clock: Clock,
        identity: str,
        again_seconds: Sequence[float] = AGAIN_SECONDS,
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._identity = identity
        self._again_seconds = again_seconds
        self._queue: asyncio.Queue[tuple[str, dict[str, Any], _What]] = asyncio.Queue(_QUEUE)
        self._count = 0
        self._warned: dict[_What, Millis] = {}
        """warning -> when it was given, the oldest first"""

    def note(self, claim: GpuClaim, reason: EventReason, message: str) -> None:
        """Queue one Event; dropped if a thousand wait, since an Event is only news.

        A warning that says what one of the last hour said is dropped too: the API server shows Events for so long.
        """
        meta, now = claim.metadata, self._clock.now_ms()
        is_warning, what = EVENTS[reason].is_warning, (meta.uid, reason, message)
        if self._queue.full() or (is_warning and not self._is_news(what, now)):
            return
        self._count += 1
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{meta.name[:200].rstrip('-.')}.{now:x}.{self._count:x}",
                "namespace": meta.namespace,
            },
            "eventTime": format_micro(now),
            "type": "Warning" if is_warning else "Normal",
            "reason": reason,
            "action": reason,
            "note": message.encode()[:_NOTE_BYTES].decode(errors="ignore"),
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
        self._queue.put_nowait((meta.namespace, event, what))

    def _is_news(self, warning: _What, now_ms: Millis) -> bool:
        """Say whether a warning wasn't given within the last hour, and remember it."""
        before = self._warned.get(warning)
        if before is not None and abs(now_ms - before) < _SHOWN_MS:
            return False
        self._warned.pop(warning, None)
        self._warned[warning] = now_ms
        if len(self._warned) > _REMEMBERED:
            del self._warned[next(iter(self._warned))]
        return True

    async def run(self) -> None:
        """Post queued Events for ever; one that the hub refuses, or doesn't answer for long, is logged and forgotten.

        A warning that was refused would be again, so it is remembered as given; after trouble it may be given anew.
        """
        while True:
            namespace, event, what = await self._queue.get()
            try:
                await self._post(namespace, event)
            except KubeError as error:
                if isinstance(error, _TROUBLE):
                    self._warned.pop(what, None)
                structlog.get_logger().info(
                    "event not posted", reason=event["reason"], error=str(error)
                )

    async def _post(self, namespace: str, event: dict[str, Any]) -> None:
        """Post an Event; where the hub is in trouble a few times more, as its name makes it one."""
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        for seconds in (*self._again_seconds, None):
            try:
                await self._hub.create(path, event)
            except Conflict:
                pass  # it was posted, though no answer came
            except _TROUBLE:
                if seconds is None:
                    raise
                await asyncio.sleep(seconds)
                continue
            return
