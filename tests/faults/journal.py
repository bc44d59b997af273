"""What went through the proxy: one entry per request, written by the proxy, read by plans and by the rules of order."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}  # fmt: skip
WRITES: Final = frozenset({"create", "update", "patch", "apply", "delete", "deletecollection"})
_NEWS: Final = frozenset({"events", "leases", "gpustatements"})
"""Writes that change nothing that is promised to anybody: Events, the Lease of the election, and statements, which are
copied from the ledger now and then, whatever a plan does (tests/unit/hub/test_statement_faults.py puts faults at them)."""
_QUESTIONS: Final = frozenset({"tokenreviews", "subjectaccessreviews", "selfsubjectrulesreviews"})
"""Written only to be answered; on the answers something rests: a cluster whose rights aren't known isn't sold."""
_BODY_BYTES: Final = 64 * 1024
_UID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RUN: Final = re.compile(r"-x\d+")
_ALIKE: Final = re.compile(r"\b(race)-\d")
"""Names of claims that are alike: which of them gets what is nobody's promise."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about, read from its path."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(slots=True)
class Entry:
    """One request and what became of it."""

    number: int
    at_seconds: float
    """Monotonic, when it arrived."""
    cluster: str
    target: Target
    query: Mapping[str, str]
    pid: int
    """The operator that sent it; 0 if it wasn't found."""
    body: Any = None
    """Of a write; None for the others and for large ones."""
    status: int = 0
    """0: never answered by the API server."""
    answer: Any = None
    """The object or list of a small answer."""
    action: str = ""
    """What the plan did to it."""
    notes: list[str] = field(default_factory=list)

    @property
    def is_dry_run(self) -> bool:
        """Say whether it asks only whether it would be let through."""
        return "dryRun" in self.query

    @property
    def is_watch(self) -> bool:
        """Say whether it follows a collection."""
        return self.query.get("watch") in ("1", "true")

    @property
    def is_write(self) -> bool:
        """Say whether it changes something that somebody relies on."""
        return self._is_sent and self.target.resource not in _NEWS | _QUESTIONS

    @property
    def is_news(self) -> bool:
        """Say whether it tells something on which nothing rests, and so is no write of any plan."""
        return self._is_sent and self.target.resource in _NEWS

    @property
    def _is_sent(self) -> bool:
        return self.target.verb in WRITES and not self.is_dry_run

    @property
    def is_done(self) -> bool:
        """Say whether the API server did what was asked."""
        return 200 <= self.status < 300

    @property
    def key(self) -> str:
        """Return what it writes, without what differs between runs: `west patch nodes *`."""
        target = self.target
        sub = f"/{target.subresource}" if target.subresource else ""
        return f"{self.cluster} {target.verb} {target.resource}{sub} {self._masked_name()}".strip()

    @property
    def object(self) -> str:
        """Return the object that it is about."""
        target = self.target
        name = target.name or _name_in(self.body)
        return f"{self.cluster} {target.resource} {target.namespace}/{name}"

    def _masked_name(self) -> str:
        target = self.target
        if target.resource == "nodes":
            return "*"
        return masked(target.name or _name_in(self.body))

    def __str__(self) -> str:
        """Return one line for a person."""
        said = f" [{self.action}]" if self.action else ""
        target, dry = self.target, " dry-run" if self.is_dry_run else ""
        sub = f"/{target.subresource}" if target.subresource else ""
        where = "/".join(x for x in (target.namespace, target.name or _name_in(self.body)) if x)
        watch = " watch" if self.is_watch else ""
        what = f"{target.verb}{watch} {target.resource}{sub} {where}"
        return f"{self.number:5} {self.pid} {self.cluster:4} {what}{dry} -> {self.status}{said}"


class Journal:
    """All entries of a run of plans; a plan's own begin at its mark."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._count = 0
        self.failures: list[str] = []
        """What went wrong in the proxy itself; an operator takes it for a server's error, and a plan would prove nothing."""

    def note(
        self, cluster: str, target: Target, query: Mapping[str, str], pid: int, body: bytes
    ) -> Entry:
        """Begin the entry of a request that has just come."""
        self._count += 1
        content = decoded(body) if target.verb in WRITES else None
        entry = Entry(self._count, time.monotonic(), cluster, target, dict(query), pid, content)
        self._entries.append(entry)
        return entry

    def forget(self) -> None:
        """Begin anew, with a number that goes on."""
        self._entries = []
        self.failures = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    @property
    def writes(self) -> list[Entry]:
        """Return the writes in order of their arrival."""
        return [e for e in self._entries if e.is_write]


def target_of(method: str, path: str, content_type: str, query: Mapping[str, str]) -> Target:
    """Read verb, resource and name from a request as the API server does."""
    parts = [p for p in path.split("/") if p]
    parts = parts[2:] if parts[:1] == ["api"] else parts[3:]
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces" and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    resource, name, sub = (*parts, "", "", "")[:3]
    verb = VERBS.get(method, method.lower())
    if verb == "get" and not name:
        verb = "watch" if query.get("watch") in ("1", "true") else "list"
    if verb == "delete" and not name:
        verb = "deletecollection"
    if verb == "patch" and "apply-patch" in content_type:
        verb = "apply"
    return Target(verb, resource or path, namespace, name, sub)


def decoded(body: bytes) -> Any:
    """Return what small JSON says, None for anything else."""
    if not body or len(body) > _BODY_BYTES:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def masked(text: str) -> str:
    """Return a text without UIDs and the number of the run; claims that are alike have one name."""
    return _ALIKE.sub(r"\1", _RUN.sub("", _UID.sub("*", text)))


def _name_in(body: Any) -> str:
    meta = body.get("metadata") if isinstance(body, dict) else None
    return str(meta.get("name", "")) if isinstance(meta, dict) else ""
