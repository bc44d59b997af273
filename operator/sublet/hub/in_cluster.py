"""The operator's second identity on the hub: for leases of the hub's own nodes, never the hub identity itself.

A token of the ServiceAccount `sublet-leased`, asked of the hub and renewed at half the life that was granted, or once the
hub doesn't take it any more (the account was made anew). Nothing is asked before a lease says `inCluster`.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from sublet.fleet.credential import HUB_ACCOUNT, Credential
from sublet.kube.errors import KubeError, NotFound
from sublet.kube.session import ApiServer
from sublet.kube.waiting import is_set_within

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
        changed: Callable[[], None],
        *,
        tenant_server: str = "",
    ) -> None:
        self._hub = hub
        self._path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{HUB_ACCOUNT}/token"
        self._changed = changed
        self._tenant_server = tenant_server
        self._token = ""
        self._is_refused = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def credential(self) -> Credential:
        """Return how a lease of the hub's nodes reaches them; begins to ask for a token when first called."""
        if self._task is None:
            self._task = asyncio.create_task(self._renew_forever(), name="hub identity")
        if not self._token:
            return Credential(missing=_MISSING)
        endpoint = self._hub.endpoint.under(lambda: self._token)
        return Credential(endpoint=endpoint, tenant_server=self._tenant_server)

    def refused(self) -> None:
        """Ask for another token soon: the hub doesn't take this one."""
        self._is_refused.set()

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
            await asyncio.sleep(min(seconds, _RETRY_SECONDS))
            await is_set_within(self._is_refused, max(0.0, seconds - _RETRY_SECONDS))
            self._is_refused.clear()

    async def _renew(self) -> float:
        """Take a new token; return in how many seconds the next one is due."""
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
        # no instant of the hub's: our clock may be another
        granted = int((answer.get("spec") or {}).get("expirationSeconds", TOKEN_SECONDS))
        return max(_RETRY_SECONDS, min(granted, TOKEN_SECONDS) / 2)
