"""A simulated history's requests sent to real API servers, and where their answers differ from the model's.

Requests go out in the order in which the model took them. What the servers choose themselves (UIDs, versions, tokens) is
put in place of what the model had chosen. Controllers of real clusters act in their own time, so what a request needs of
them is waited for: a read is repeated until it agrees, or for so long.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

import msgspec

from sublet.kube.errors import ApiError
from sublet.kube.session import ApiServer
from tests.simulation.answers import Refused, Request, Where, parse_path
from tests.simulation.server import Server

_LEFT_OUT: Final = frozenset({"leases", "events", "secrets", "priorityclasses"})
"""The election and Events have clocks of their own; the credentials on the hub are the planes' own."""
_PATIENCE_SECONDS: Final = 25.0
_CHOSEN: Final = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "managedFields", "deletionTimestamp",
     "deletionGracePeriodSeconds", "ownerReferences", "name", "namespace"}
)  # fmt: skip
"""What of metadata the server chooses, or the path says already."""


@dataclass
class Step:
    """One request and the model's answer."""

    server: str
    token: str
    request: Request
    status: int
    answer: Any

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.server} {self.request.method} {self.request.path}"


@contextmanager
def recorded(steps: list[Step]) -> Iterator[None]:
    """Write down what any server is asked, for the length of the block."""
    honest = Server.handle

    def handle(self: Server, request: Request, token: str) -> bytes:
        try:
            answer = honest(self, request, token)
        except Refused as refused:
            steps.append(Step(self.name, token, request, refused.status, refused.body))
            raise
        steps.append(Step(self.name, token, request, 200, msgspec.json.decode(answer)))
        return answer

    with mock.patch.object(Server, "handle", handle):
        yield


@dataclass
class Replay:
    """Sends steps to real servers; `found` are the differences."""

    servers: Mapping[str, Mapping[str, ApiServer]]
    """server -> token of the model -> the real server as that identity"""
    found: list[str] = field(default_factory=list)
    sent: int = 0
    _words: dict[str, str] = field(default_factory=dict)
    """what the model chose -> what the real server chose"""
    _versions: dict[tuple[str, str], str] = field(default_factory=dict)
    """(UID, resourceVersion) in the model -> the real version"""
    _tokens: dict[str, ApiServer] = field(default_factory=dict)

    def know(self, model: Mapping[str, Any], real: Mapping[str, Any]) -> None:
        """Learn what the real server chose for an object that both have."""
        ours, theirs = model.get("metadata") or {}, real.get("metadata") or {}
        if ours.get("uid") and theirs.get("uid"):
            self._words.setdefault(ours["uid"], theirs["uid"])
            key = (ours["uid"], ours["resourceVersion"])
            self._versions[key] = theirs["resourceVersion"]

    async def run(self, steps: list[Step]) -> None:
        """Send every step that can be compared."""
        for step in steps:
            where = parse_path(step.request.path)
            if where.resource in _LEFT_OUT or step.request.path == "/version":
                continue
            if step.request.method == "GET" and not where.name:
                continue
            self.sent += 1
            if step.request.method == "GET":
                await self._read(step, where)
            else:
                await self._write(step, where)

    async def _read(self, step: Step, where: Where) -> None:
        """Read until the answers agree: controllers may still be at it."""
        difference: str | None = ""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while difference is not None and asyncio.get_running_loop().time() < deadline:
            status, answer = await self._send(step)
            difference = self._difference(step, where, status, answer)
            if difference is not None:
                await asyncio.sleep(0.2)
            elif status == 200:
                self.know(step.answer, answer)
        if difference is not None:
            self.found.append(f"{step}: {difference}")

    async def _write(self, step: Step, where: Where) -> None:
        status, answer = await self._send(step)
        difference = self._difference(step, where, status, answer)
        if difference is not None:
            self.found.append(f"{step}: {difference}")
        if step.status == 200 == status and isinstance(answer, dict):
            self.know(step.answer, answer)
            if where.subresource == "token":
                api = self._api(step).with_token(answer["status"]["token"])
                self._tokens[step.answer["status"]["token"]] = api

    async def _send(self, step: Step) -> tuple[int, Any]:
        request = step.request
        body = self._translated(request.body, step) if request.body else None
        try:
            answer = await self._api(step).request(
                request.method,
                self._worded(request.path),
                params=request.params,
                content_type=request.content_type,
                body=body,
            )
        except ApiError as error:
            return error.status, {"reason": error.reason, "message": error.message}
        return 200, msgspec.json.decode(answer)

    def _api(self, step: Step) -> ApiServer:
        return self._tokens.get(step.token) or self.servers[step.server][step.token]

    def _worded(self, text: str) -> str:
        for ours, theirs in self._words.items():
            text = text.replace(ours, theirs)
        return text

    def _translated(self, body: bytes, step: Step) -> bytes:
        """Put UIDs and versions of the real servers into a body."""
        content = msgspec.json.decode(body)
        operations = content if isinstance(content, list) else []
        meta = content.get("metadata") or {} if isinstance(content, dict) else {}
        tests = {o["path"]: o.get("value") for o in operations if o["op"] == "test"}
        uid = meta.get("uid") or tests.get("/metadata/uid")
        version = meta.get("resourceVersion") or tests.get("/metadata/resourceVersion")
        real = self._versions.get((str(uid), str(version)), str(version))
        for operation in operations:
            if operation["op"] == "test" and operation["path"] == "/metadata/resourceVersion":
                operation["value"] = real
        if version and isinstance(content, dict):
            content["metadata"]["resourceVersion"] = real
        return self._worded(msgspec.json.encode(content).decode()).encode()

    def _difference(self, step: Step, where: Where, status: int, answer: Any) -> str | None:
        # a real server says 201 for what is new; `ApiServer` tells success from failure alone
        if status != step.status:
            return f"the model says {step.status}, the server {status} {answer}"
        if status != 200:
            policy = "sublet-claim-pods"
            if (policy in step.answer["message"]) != (policy in answer["message"]):
                return f"the model says {step.answer['message']}, the server {answer['message']}"
            return None
        if where.subresource == "token" or step.request.method == "DELETE":
            return None
        wanted = msgspec.json.decode(self._worded(msgspec.json.encode(step.answer).decode()))
        return _missing(_comparable(wanted, where), answer, "")


def _comparable(obj: dict[str, Any], where: Where) -> dict[str, Any]:
    """Return what of the model's object a real one must have: all that isn't the server's own choice."""
    meta = {k: v for k, v in obj.get("metadata", {}).items() if k not in _CHOSEN}
    if where.resource == "nodes":
        status: dict[str, Any] = {}  # the kubelet's
    elif where.resource == "resourcequotas":
        status = {k: v for k, v in (obj.get("status") or {}).items() if k == "hard"}
    else:
        status = obj.get("status") or {}
    spec = obj.get("spec") or {}
    if "admission" in where.resource:
        return {}  # its digest is of what onboarding wrote
    if where.resource == "selfsubjectrulesreviews":
        return {}  # the model's operator may all; what it may is tried in tests/integration/rights
    if where.resource == "pods":
        spec = {}  # defaulted through and through
    return {"metadata": meta, "spec": spec, "status": status}


def _missing(wanted: Any, found: Any, path: str) -> str | None:
    """Return where `found` lacks something of `wanted`; more than that is no difference."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return f"{path}: {wanted} isn't there" if wanted else None
        for key, value in wanted.items():
            fault = _missing(value, found.get(key), f"{path}.{key}")
            if fault is not None:
                return fault
        return None
    if isinstance(wanted, list) and path.endswith(("taints", "finalizers")):
        lacks = [x for x in wanted if x not in (found or [])]
        return f"{path}: {lacks} missing of {found}" if lacks else None
    if wanted != found and not (wanted in (None, [], {}) and not found):
        return f"{path}: the model has {wanted!r}, the server {found!r}"
    return None
