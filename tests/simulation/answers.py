"""Requests and answers of the modelled API server, and who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, by token: the operator, or a tenant of one namespace."""

    name: str
    namespace: str = ""
    """Of a tenant's ServiceAccount."""
    account_uid: str = ""

    @property
    def is_tenant(self) -> bool:
        """Say whether it is a tenant's ServiceAccount."""
        return bool(self.namespace)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it reaches the server."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    body: bytes | None = None
    actor: str = ""
    """Whose it is, for the checks; the server doesn't know."""

    @property
    def is_write(self) -> bool:
        """Say whether it may change anything."""
        return self.method != "GET" and "dryRun" not in self.params


class Where(NamedTuple):
    """What a path names."""

    resource: str
    namespace: str
    name: str
    subresource: str


class Refused(Exception):
    """An error status with the server's reason and message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    @property
    def body(self) -> dict[str, Any]:
        """Return the Status object."""
        return {
            "kind": "Status",
            "status": "Failure",
            "reason": self.reason,
            "message": self.message,
            "code": self.status,
        }


def parse_path(path: str) -> Where:
    """Take a URL path apart."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name, sub, *_ = (*rest, "", "", "")
    return Where(resource, namespace, name, sub)


def not_found(where: Where) -> Refused:
    """Return a 404."""
    return Refused(404, "NotFound", f'{where.resource} "{where.name}" not found')


def conflict(where: Where, why: str) -> Refused:
    """Return a 409 of a write that came too late."""
    text = f'Operation cannot be fulfilled on {where.resource} "{where.name}": {why}'
    return Refused(409, "Conflict", text)


def encode(obj: Any) -> bytes:
    """Return an object as it goes over the wire."""
    return msgspec.json.encode(obj)
