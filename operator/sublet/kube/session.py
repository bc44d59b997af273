"""One connection to one API server: requests with time and byte limits, answers as types, errors as types.

Each cluster has a session of its own, so that one cluster can't stall another. Requests follow no redirect (a
hostile server could send credentials elsewhere), keep no cookies, use no proxy but one of our own user's kubeconfig, and
read at most `Limits.body_bytes`.
Nothing is retried here, as whether a step may be repeated is its caller's knowledge, but what an ended token was refused for:
of that nothing was done.
"""

import asyncio
import re
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

import aiohttp
import msgspec

from sublet.kube.addresses import RefuseAddress, VettedResolver
from sublet.kube.bodies import (
    ERROR_BYTES,
    Reading,
    decode,
    decoder_of,
    read_up_to,
    status_object,
)
from sublet.kube.endpoint import Endpoint, tls_context
from sublet.kube.errors import BadAnswer, Unauthorized, Unreachable, Untrusted, error_from_status
from sublet.kube.lists import MOST_ITEM_BYTES, ListPage, page_of

T = TypeVar("T")
Body = Mapping[str, Any]
JsonPatch = list[dict[str, Any]]
"""RFC 6902 operations."""

FIELD_MANAGER: Final = "sublet"
MAX_BODY_BYTES: Final = 256 * 1024 * 1024
READ_BUFFER_BYTES: Final = 1024 * 1024
"""A watch line holds one object; etcd's limit is 1.5 MB."""

KEEPALIVE_SECONDS: Final = 3.0
"""Shorter than the time between two probes: aiohttp takes the connection that is idle for longest, so these would keep all
that a busy moment opened: a fifth of what each of a fleet's many clusters costs."""

_CLEANUP_CLOSED: Final = sys.version_info < (3, 12, 7)
"""Whether aiohttp itself ends what a server doesn't: asyncio waits half a minute for its word. It says that later Pythons need no help."""

_JSON: Final = "application/json"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_JSON_PATCH: Final = "application/json-patch+json"
_APPLY: Final = "application/apply-patch+yaml"
_QUESTIONS: Final = ("/apis/authentication.k8s.io/", "/apis/authorization.k8s.io/")
"""What is asked by POST; a token likewise, which changes nothing of what anybody sees."""
_TOKEN: Final = re.compile(r"/api/v1/namespaces/[^/]+/serviceaccounts/[^/]+/token")
"""The whole of it: a landlord may call a node `token`, and a tenant a claim."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may cost: seconds, connections at once, bytes of one answer (unpacked)."""

    connect_seconds: float = 5.0
    request_seconds: float = 30.0
    connections: int = 64
    body_bytes: int = MAX_BODY_BYTES
    bodies_bytes: int = 2 * MAX_BODY_BYTES
    """Of all answers that are being read at once."""
    object_bytes: int = MAX_BODY_BYTES
    """Of an answer that is decoded as a whole; as objects a text may take over twenty times its bytes."""


STRANGERS_LIMITS: Final = Limits(
    body_bytes=32 * 1024 * 1024, bodies_bytes=96 * 1024 * 1024, object_bytes=MOST_ITEM_BYTES
)
"""Of a leased cluster. A page of 500 nodes has 10 MB, 30 with the longest lists of images."""


class ApiServer:
    """Requests to one API server. Use as an async context manager, or call `close`.

    `refuse_address` judges what the server's name resolves to, at each connect.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        limits: Limits | None = None,
        *,
        refuse_address: RefuseAddress | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._limits = limits or Limits()
        self._refuse_address = refuse_address
        self._closed = False
        self._session: aiohttp.ClientSession | None = None
        self._shared_with: ApiServer | None = None
        self._reading = Reading(self._limits.bodies_bytes)
        self.may_change: Callable[[], bool] | None = None
        """Asked before each request that changes something; None: always."""
        self.date = ""
        """The Date of the newest answer; empty if there was none, or it named none."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections for good; a later request raises Unreachable."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and self._shared_with is None:
            await session.close()
            await asyncio.sleep(0)  # its sockets close in the loop's next turn

    def with_token(self, token: str) -> "ApiServer":
        """Return the same server under another identity, over the same connections where that is safe.

        A connection with a client certificate authenticates by it whatever the token says, so such a session is
        never shared.
        """
        endpoint = self.endpoint.under(lambda: token)
        other = ApiServer(endpoint, self._limits, refuse_address=self._refuse_address)
        other.may_change = self.may_change
        if self.endpoint.client_cert_pem is None:
            other._shared_with = self
            other._reading = self._reading
        return other

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        """Read one object."""
        return await self.get_as(path, dict, **params)

    async def get_as(self, path: str, type_: type[T], **params: str) -> T:
        """Read one object into a narrow type (hot paths)."""
        body = await self.request("GET", path, params=params, most_bytes=self._limits.object_bytes)
        return self._decode(body, type_)

    async def list_page(
        self, path: str, params: Mapping[str, str], *, limit: int, metadata_only: bool = False
    ) -> ListPage:
        """Read one page of a collection as texts; BadAnswer if it has more items than it was asked for."""
        body = await self.request(
            "GET",
            path,
            params={**params, "limit": str(limit)},
            accept=_METADATA_LIST if metadata_only else _JSON,
        )
        return page_of(body, limit, path)

    async def list_metadata(self, path: str, type_: type[T], **params: str) -> T:
        """Read a collection's metadata alone: a hundredth of the bytes where only versions matter."""
        body = await self.request("GET", path, params=params, accept=_METADATA_LIST)
        return self._decode(body, type_)

    async def create(self, path: str, obj: Body, *, dry_run: bool = False) -> dict[str, Any]:
        """POST an object to its collection."""
        return await self._write("POST", path, _JSON, obj, dry_run=dry_run)

    async def replace(self, path: str, obj: Body, *, dry_run: bool = False) -> dict[str, Any]:
        """PUT a whole object; guarded if its metadata carries a resourceVersion or UID."""
        return await self._write("PUT", path, _JSON, obj, dry_run=dry_run)

    async def patch(self, path: str, operations: JsonPatch) -> dict[str, Any]:
        """Send a JSON patch; a failed `test` raises Invalid (422)."""
        return await self._write("PATCH", path, _JSON_PATCH, operations)

    async def patch_as(self, path: str, operations: JsonPatch, type_: type[T]) -> T:
        """Send a JSON patch and decode the answer into a narrow type (hot paths)."""
        body = await self.request(
            "PATCH",
            path,
            content_type=_JSON_PATCH,
            body=_encode(operations),
            most_bytes=self._limits.object_bytes,
        )
        return self._decode(body, type_)

    async def apply(self, path: str, obj: Body, *, dry_run: bool = False) -> dict[str, Any]:
        """Server-side apply under our field manager, taking over fields that others changed."""
        ours = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._write("PATCH", path, _APPLY, obj, dry_run=dry_run, **ours)

    async def delete(
        self, path: str, *, uid: str | None = None, grace_seconds: int | None = None
    ) -> None:
        """Delete one object, only if it still has this UID (Conflict if not)."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        await self.request("DELETE", path, content_type=_JSON, body=_encode(options))

    async def _write(
        self,
        method: str,
        path: str,
        content_type: str,
        obj: Any,
        *,
        dry_run: bool = False,
        **params: str,
    ) -> dict[str, Any]:
        if dry_run:
            params["dryRun"] = "All"
        body = await self.request(
            method,
            path,
            params=params,
            content_type=content_type,
            body=_encode(obj),
            most_bytes=self._limits.object_bytes,
        )
        return self._decode(body, dict)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        body: bytes | None = None,
        accept: str = _JSON,
        most_bytes: int | None = None,
    ) -> bytes:
        """Send one request and return the answer's bytes; raises ApiError types and Unreachable.

        Unreachable too where this replica may change nothing: one that was paused may wake in the middle of a step.
        """
        try:
            async with self.stream(
                method,
                path,
                params=params,
                content_type=content_type,
                body=body,
                accept=accept,
                total_seconds=self._limits.request_seconds,
            ) as response:
                most = self._limits.body_bytes
                return await self._reading.read(response, min(most, most_bytes or most))
        except aiohttp.ClientConnectorCertificateError as error:
            raise Untrusted(f"{method} {path}: its certificate isn't trusted") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{method} {path}: {type(error).__name__}: {error}") from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        body: bytes | None = None,
        accept: str = _JSON,
        total_seconds: float | None = None,
        silence_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a request and hand over the response to read from; error statuses raise their types."""
        headers = [("Accept", accept)]
        if body is not None:
            headers.append(("Content-Type", content_type))
        timeout = aiohttp.ClientTimeout(
            total=total_seconds,
            connect=None,
            sock_connect=self._limits.connect_seconds,
            sock_read=silence_seconds,
        )
        ask = partial(self._ask, method, path, params or None, data=body, timeout=timeout)
        shown = self.endpoint.identity()
        async with AsyncExitStack() as answered:
            try:
                response = await answered.enter_async_context(ask(headers=[*headers, *shown]))
            except Unauthorized:
                if not await self.endpoint.renewed(shown):
                    raise
                headers += self.endpoint.identity()
                response = await answered.enter_async_context(ask(headers=headers))
            yield response

    @asynccontextmanager
    async def _ask(
        self, method: str, path: str, params: Mapping[str, str] | None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request as it is, if this replica may; error statuses raise their types."""
        asks = method == "GET" or "dryRun" in (params or ()) or _is_question(path)
        if not asks and self.may_change is not None and not self.may_change():
            raise Unreachable(f"{method} {path}: not sent, as this replica doesn't lead")
        async with self._open().request(
            method,
            self.endpoint.server.rstrip("/") + path,
            params=params,
            allow_redirects=False,
            server_hostname=self.endpoint.tls_server_name,
            **options,
        ) as response:
            self.date = response.headers.get("Date", "")
            if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
                raise BadAnswer(f"{method} {path}: {response.status}, a redirect: not followed")
            if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                raise error_from_status(
                    response.status,
                    status_object(await read_up_to(response, ERROR_BYTES)),
                    response.headers.get("Retry-After"),
                )
            yield response

    def _open(self) -> aiohttp.ClientSession:
        if self._shared_with is not None:
            return self._shared_with._open()  # noqa: SLF001  of our own kind
        if self._closed:
            raise Unreachable("the connection was closed")
        if self._session is None:
            tls: ssl.SSLContext | bool = True
            if self.endpoint.server.startswith("https"):
                tls = tls_context(self.endpoint)
            connector = aiohttp.TCPConnector(
                ssl=tls,
                limit=self._limits.connections,
                keepalive_timeout=KEEPALIVE_SECONDS,
                resolver=VettedResolver(self._refuse_address) if self._refuse_address else None,
                use_dns_cache=self._refuse_address is None,
                enable_cleanup_closed=_CLEANUP_CLOSED,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                read_bufsize=READ_BUFFER_BYTES,
                proxy=self.endpoint.proxy,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    @staticmethod
    def _decode(body: bytes, type_: type[T]) -> T:
        decoded: T = decode(body, decoder_of(type_))
        return decoded


def _is_question(path: str) -> bool:
    return path.startswith(_QUESTIONS) or _TOKEN.fullmatch(path) is not None


__all__ = [
    "FIELD_MANAGER",
    "STRANGERS_LIMITS",
    "ApiServer",
    "Endpoint",
    "JsonPatch",
    "Limits",
    "tls_context",
]
