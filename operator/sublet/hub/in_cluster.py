"""The operator's second identity on the hub: for leases of the hub's own nodes, never the hub identity itself.

A token of the ServiceAccount `sublet-leased`, asked of the hub and renewed at half its life. Nothing is asked before a
lease says `inCluster`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from sublet.api.times import MS_PER_SECOND, Millis, parse_instant
from sublet.clock import Clock
from sublet.fleet.credential import HUB_ACCOUNT, Credential
from sublet.kube.errors import KubeError, NotFound
from sublet.kube.session import ApiServer

TOKEN_SECONDS: Final = 3_600
_RETRY_SECONDS: Final = 10.0
_MISSING: Final = (
    f"there is no token of ServiceAccount {HUB_ACCOUNT} yet; "
    "`sublet onboard --in-cluster` makes the account"
)


class HubIdentity:
    """Keeps the token of the second identity; `changed` is told when there is one for the first time."""

    def __init__(
        self,
        hub: ApiServer,
        namespace: str,
        clock: Clock,
        changed: Callable[[], None],
        *,
        tenant_server: str = "",
    ) -> None:
        self._hub = hub
        self._path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{HUB_ACCOUNT}/token"
        self._clock = clock
        self._changed = changed
        self._tenant_server = tenant_server
        self._token = ""
        self._task: asyncio.Task[None] | None = None

    def credential(self) -> Credential:
        """Return how a lease of the hub's nodes reaches them; begins to ask for a token when first called."""
        if self._task is None:
            self._task = asyncio.create_task(self._renew_forever(), name="hub identity")
        if not self._token:
            return Credential(missing=_MISSING)
        endpoint = replace(
            self._hub.endpoint,
            token=lambda: self._token,
            client_cert_pem=None,
            client_key_pem=None,
        )
        return Credential(endpoint=endpoint, tenant_server=self._tenant_server)

    async def close(self) -> None:
        """Stop renewing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _renew_forever(self) -> None:
        while True:
            try:
                seconds = await self._renew()
            except NotFound:
                seconds = _RETRY_SECONDS
            except KubeError as error:
                structlog.get_logger().warning("no token of our own", error=str(error))
                seconds = _RETRY_SECONDS
            await asyncio.sleep(seconds)

    async def _renew(self) -> float:
        """Take a new token; return in how many seconds the next one is due."""
        asked_ms = self._clock.now_ms()
        answer = await self._hub.create(
            self._path,
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": TOKEN_SECONDS},
            },
        )
        first = not self._token
        self._token = str(answer["status"]["token"])
        if first:
            self._changed()
        ends_ms = parse_instant(answer["status"]["expirationTimestamp"])
        return max(_RETRY_SECONDS, Millis(ends_ms - asked_ms) / MS_PER_SECOND / 2)
