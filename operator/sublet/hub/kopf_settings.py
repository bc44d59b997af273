"""kopf, set up to feed and do nothing else. Each setting answers a measured trap (docs/decisions/0001)."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import aiohttp
import kopf
from yarl import URL

from sublet.kube.session import Endpoint, tls_context


class EndlessBackoff:
    """Delays that never run out: with finite ones, a hub that answers 403 or 5xx for long ends the operator."""

    def __iter__(self) -> Iterator[float]:
        """Yield growing delays in seconds, then ten for ever."""
        yield from (0.1, 0.5, 1.0, 2.0, 5.0)
        while True:
            yield 10.0


class NothingKept(kopf.DiffBaseStorage):
    """What kopf remembers of an object to find differences: nothing, since no handler asks for them.

    The stock one copies each object deeply at every event.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> Any:
        """Return the essence of an object: nothing of it."""
        return {}

    def fetch(self, *, body: kopf.Body) -> None:
        """Return the last essence: there is none."""

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        """Keep nothing."""


def kopf_settings() -> kopf.OperatorSettings:
    """Return the settings of the one kopf operator.

    A page is decoded in one go, and a tenant may make each object as large as the store takes; a process that ends has a
    time of its own.
    """
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.error_backoffs = EndlessBackoff()
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.enforce_retry_after = True
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = 10
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1
    settings.persistence.finalizer = "sublet.dev/kopf"
    settings.persistence.diffbase_storage = NothingKept()
    settings.process.ultimate_exiting_timeout = None
    return settings


def register_login(registry: kopf.OperatorRegistry, endpoint: Endpoint) -> None:
    """Let kopf use the same hub and identity as everything else."""

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=endpoint.server, aiohttp_session=_session(endpoint))


def _session(endpoint: Endpoint) -> aiohttp.ClientSession:
    """Return a session that shows the newest token with each request, and tells a 401 as a failure that is tried again.

    kopf's own shows the first token until it is refused, and then closes it under all other watches, which ends them.
    """
    origin = URL(endpoint.server).origin()

    async def with_token(
        request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        shown = endpoint.identity()
        if request.url.origin() == origin:  # redirects come by here, too
            request.headers.extend(shown)
        response = await send(request)
        if response.status == HTTPStatus.UNAUTHORIZED:
            response.close()
            await endpoint.renewed(shown)
            raise aiohttp.ClientConnectionError("401: the hub refuses the credential")
        return response

    tls = tls_context(endpoint) if origin.scheme == "https" else True
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls),
        middlewares=(with_token,),
        proxy=endpoint.proxy,
    )
