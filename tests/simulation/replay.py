"""A simulated history's requests sent to real API servers, and where their answers differ from the model's.

Requests go out in the order in which the model took them. What the servers choose themselves (UIDs, versions, tokens) is
put in place of what the model had chosen. Controllers of real clusters act in their own time, so what a request needs of
them is waited for: a read is repeated until it agrees, or for so long. Lists are compared by their items, and in the end
what watches of our kinds say is compared in its order.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

import msgspec

from sublet.kube.errors import ApiError, NotFound
from sublet.kube.session import ApiServer
from tests.simulation.answers import Refused, Request, Where, parse_path
from tests.simulation.audit import AUDITOR
from tests.simulation.server import Server
from tests.simulation.store import Change, Store

Name = tuple[str, str]
"""namespace, name"""

_LEFT_OUT: Final = frozenset({"events"})
"""The API server merges and forgets Events as it likes, and nobody decides by them."""
_WATCHED: Final = ("gpuclaims", "gpuleases", "gpuclasses", "gputenants", "gpustatements")
"""Kinds of which every event is compared: nobody but those who are replayed writes them."""
_PATIENCE_SECONDS: Final = 25.0
_ENOUGH: Final = 5
"""Differences of one history."""
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
def recorded(steps: list[Step], changes: list[Change] | None = None) -> Iterator[None]:
    """Write down what any server is asked, and what that changed on the hub, for the length of the block."""
    honest, commit = Server.handle, Store._commit

    def note(self: Store, *what: Any) -> None:
        if self.name == "hub" and changes is not None:
            changes.append(Change(self.version, *what))
        commit(self, *what)

    def handle(self: Server, request: Request, token: str) -> bytes:
        if request.actor == AUDITOR:
            return honest(self, request, token)
        try:
            answer = honest(self, request, token)
        except Refused as refused:
            steps.append(Step(self.name, token, request, refused.status, refused.body))
            raise
        steps.append(Step(self.name, token, request, 200, msgspec.json.decode(answer)))
        return answer

    with mock.patch.object(Server, "handle", handle), mock.patch.object(Store, "_commit", note):
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
    """(server, resourceVersion) in the model -> the real version"""
    _tokens: dict[str, ApiServer] = field(default_factory=dict)
    _strangers: dict[str, set[Name]] = field(default_factory=dict)
    """collection, as `_collection` names it -> what was there before"""

    def know(self, server: str, model: Mapping[str, Any], real: Mapping[str, Any]) -> None:
        """Learn what a real server chose for an object that both have."""
        ours, theirs = model.get("metadata") or {}, real.get("metadata") or {}
        if ours.get("uid") and theirs.get("uid"):
            self._words.setdefault(ours["uid"], theirs["uid"])
            self._versions[server, ours["resourceVersion"]] = theirs["resourceVersion"]

    async def run(self, steps: list[Step]) -> None:
        """Send every step that can be compared."""
        steps = [s for s in steps if _is_compared(s)]
        for step in steps:
            if _is_list(step) and _collection(step) not in self._strangers:
                _, answer = await self._send(step)
                self._strangers[_collection(step)] = {_name(x) for x in answer["items"]}
        for step in steps:
            if len(self.found) >= _ENOUGH:
                return  # what comes after so many follows from them
            where = parse_path(step.request.path)
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
                self.know(step.server, step.answer, answer)
        if difference is not None:
            self.found.append(f"{step}: {difference}")

    async def watch(self, changes: list[Change], since: str) -> None:
        """Compare what watches of the hub say since a version with what the model changed, in its order."""
        for resource in _WATCHED:
            wanted = [c for c in changes if c.key.resource == resource]
            said = await self._events(resource, since)
            if len(wanted) != len(said):
                self.found.append(f"{resource}: {len(wanted)} events, the server has {len(said)}")
            for change, event in zip(wanted, said, strict=False):
                where = Where(resource, change.key.namespace, change.key.name, "")
                difference = self._item(where, change.after, event["object"])
                if change.type != event["type"] or difference is not None:
                    line = f"{change.type} {change.key}, the server: {event['type']}"
                    self.found.append(f"{line} {_name(event['object'])}: {difference}")
                    break

    async def _events(self, resource: str, since: str) -> list[Any]:
        """Return what a watch says; who manages a field, which may be all that a write changes, isn't in the model."""
        api = self.servers["hub"]["admin"]
        params = {"watch": "1", "resourceVersion": since, "timeoutSeconds": "2"}
        path = f"/apis/sublet.dev/v1alpha1/{resource}"
        found, last = [], dict[Name, Any]()
        async with api.stream("GET", path, params=params) as response:
            async for line in response.content:
                event = msgspec.json.decode(line)
                for name in ("managedFields", "resourceVersion"):
                    event["object"]["metadata"].pop(name, None)
                if (
                    event["type"] != "MODIFIED"
                    or last.get(_name(event["object"])) != event["object"]
                ):
                    found.append(event)
                last[_name(event["object"])] = event["object"]
        return found

    async def _write(self, step: Step, where: Where) -> None:
        if step.request.method == "POST" and step.status == 200 and where.resource == "secrets":
            await self._collected(step)
        status, answer = await self._send(step)
        difference = self._difference(step, where, status, answer)
        if difference is not None:
            self.found.append(f"{step}: {difference}")
        if step.status == 200 == status and isinstance(answer, dict):
            self.know(step.server, step.answer, answer)
            if where.subresource == "token":
                api = self._api(step).with_token(answer["status"]["token"])
                self._tokens[step.answer["status"]["token"]] = api

    async def _collected(self, step: Step) -> None:
        """Wait until the Secret of an earlier claim is gone, which in the model it was."""
        name = msgspec.json.decode(step.request.body or b"{}")["metadata"]["name"]
        path, admin = f"{step.request.path}/{name}", self.servers[step.server]["admin"]
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            try:
                await admin.get(path)
            except NotFound:
                return
            await asyncio.sleep(0.1)

    async def _send(self, step: Step) -> tuple[int, Any]:
        request = step.request
        body = self._translated(request.body, step) if request.body else None
        try:
            answer = await self._api(step).request(
                request.method,
                self._worded(request.path),
                params={key: self._worded(value) for key, value in request.params.items()},
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
        version = meta.get("resourceVersion") or tests.get("/metadata/resourceVersion")
        real = self._versions.get((step.server, str(version)), str(version))
        for operation in operations:
            if operation["op"] == "test" and operation["path"] == "/metadata/resourceVersion":
                operation["value"] = real
        if version and isinstance(content, dict):
            content["metadata"]["resourceVersion"] = real
        return self._worded(msgspec.json.encode(content).decode()).encode()

    def _difference(self, step: Step, where: Where, status: int, answer: Any) -> str | None:
        # a real server says 201 for what is new; `ApiServer` tells success from failure alone
        is_going = bool((step.answer.get("metadata") or {}).get("deletionTimestamp"))
        if status != step.status:
            # what is going in the model may be gone here
            return (
                None
                if status == 404 and is_going
                else f"the model says {step.status}, the server {status} {answer}"
            )
        if status != 200:
            policy = "sublet-claim-pods"
            if (policy in step.answer["message"]) != (policy in answer["message"]):
                return f"the model says {step.answer['message']}, the server {answer['message']}"
            return None
        if where.subresource == "token" or step.request.method == "DELETE":
            return None
        if _is_list(step):
            return self._list(step, where, answer)
        return self._item(where, step.answer, answer)

    def _item(self, where: Where, model: Any, real: Any) -> str | None:
        wanted = msgspec.json.decode(self._worded(msgspec.json.encode(model).decode()))
        return _missing(_comparable(wanted, where), real, "")

    def _list(self, step: Step, where: Where, answer: Any) -> str | None:
        """Compare lists by their items; what is going may be gone."""
        real = {_name(x): x for x in answer["items"]}
        for model in step.answer["items"]:
            namespace, name = map(self._worded, _name(model))
            found = real.pop((namespace, name), None)
            if found is None and "deletionTimestamp" not in model["metadata"]:
                return f"{namespace}/{name} isn't in the list"
            difference = self._item(where, model, found) if found is not None else None
            if difference is not None:
                return f"{namespace}/{name}: {difference}"
            if found is not None:
                self.know(step.server, model, found)
        more = set(real) - self._strangers[_collection(step)]
        return f"the model's list lacks {sorted(more)}" if more else None


def _comparable(obj: dict[str, Any], where: Where) -> dict[str, Any]:
    """Return what of the model's object a real one must have: all that isn't the server's own choice."""
    meta = {k: v for k, v in obj.get("metadata", {}).items() if k not in _CHOSEN}
    if where.resource == "secrets":
        return {"metadata": meta, "type": obj.get("type")}  # tokens are the servers' own
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


def _is_compared(step: Step) -> bool:
    where = parse_path(step.request.path)
    is_read = step.request.method == "GET"
    return where.resource not in _LEFT_OUT and not (
        is_read and not where.name and not _is_list(step)
    )


def _is_list(step: Step) -> bool:
    return step.request.method == "GET" and step.status == 200 and "items" in step.answer


def _collection(step: Step) -> str:
    return f"{step.server} {step.request.path} {sorted(step.request.params.items())}"


def _name(obj: Any) -> Name:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


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
