"""The file that `sublet backup` writes: Sublet's objects with their status, as canonical JSON. Pure.

The same hub gives the same bytes but for the time: objects are sorted, keys too, and what the API server keeps for
itself is left out. A digest at the end shows a file that was cut or changed. No Secret is in it, unless it was asked for.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sublet.api.common import Name, ObjectName
from sublet.api.kinds import KINDS
from sublet.api.names import UID_PATTERN
from sublet.api.times import Millis, format_instant, parse_instant
from sublet.cli.problems import Problem
from sublet.fleet.credential import CREDENTIALS_LABEL

Body = dict[str, Any]

FORMAT: Final = "sublet-backup/1"
_META: Final = (
    "name", "namespace", "uid", "generation", "labels", "annotations", "finalizers",
    "creationTimestamp", "deletionTimestamp",
)  # fmt: skip
_ACTED_UPON: Final = {"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"}
_ORDER: Final = {kind.name: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Position:
    """How far the ledger was."""

    entries: int
    head: str
    """Hash of the last line."""


@dataclass(frozen=True, slots=True)
class Archive:
    """What a backup holds."""

    hub_uid: str
    taken_ms: Millis
    ledger: Position | None
    """None: it wasn't asked."""
    namespaces: tuple[Body, ...]
    """Those that hold claims: name and labels."""
    objects: tuple[Body, ...]
    credentials: tuple[Body, ...] = ()
    """The leased clusters' Secrets; only where they were asked for."""


def kept(obj: Mapping[str, Any]) -> Body:
    """Return what is kept of an object: nothing that the API server makes for itself."""
    meta = {k: obj["metadata"][k] for k in _META if obj["metadata"].get(k)}
    parts = {k: obj[k] for k in ("spec", "status", "type", "data") if k in obj}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": meta, **parts}


def to_text(archive: Archive) -> str:
    """Write a backup as text that ends with its digest."""
    ledger = archive.ledger
    content = {
        "format": FORMAT,
        "hub": archive.hub_uid,
        "takenTime": format_instant(archive.taken_ms),
        "ledger": {"entries": ledger.entries, "head": ledger.head} if ledger else None,
        "namespaces": sorted(archive.namespaces, key=key_of),
        "objects": sorted(archive.objects, key=_place),
        "credentials": sorted(archive.credentials, key=key_of),
    }
    return _text({**content, "sha256": _digest(content)})


def from_text(text: str) -> Archive:
    """Read a backup; Problem says what is wrong with the file."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise Problem("it is no backup: not JSON, or cut off") from None
    if not isinstance(data, dict) or not str(data.get("format", "")).startswith("sublet-backup/"):
        raise Problem("it is no backup that `sublet backup` wrote")
    if data["format"] != FORMAT:
        raise Problem(f"it is of format {data['format']}, this version of sublet reads {FORMAT}")
    said = data.pop("sha256", None)
    if said != _digest(data):
        raise Problem("its digest is not that of its content: it was changed or damaged")
    try:
        found = _Content.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Problem(
            f"it is no backup that `sublet backup` wrote: {where}: {first['msg']}"
        ) from None
    ledger = found.ledger
    return Archive(
        hub_uid=found.hub,
        taken_ms=parse_instant(found.taken_time),
        ledger=Position(ledger.entries, ledger.head) if ledger else None,
        namespaces=tuple(data["namespaces"]),
        objects=tuple(data["objects"]),
        credentials=tuple(data["credentials"]),
    )


class _Meta(BaseModel):
    """The metadata of something in a file: what stands in a path can lead nowhere else."""

    model_config = ConfigDict(strict=True)

    name: ObjectName
    namespace: Name | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class _MetaOfObject(_Meta):
    uid: Annotated[str, Field(pattern=UID_PATTERN, max_length=36)]


class _Namespace(BaseModel):
    kind: Literal["Namespace"]
    metadata: _Meta


class _Object(BaseModel):
    kind: str
    metadata: _MetaOfObject
    spec: dict[str, Any]
    status: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_ours(self) -> Self:
        kind = next((k for k in KINDS if k.name == self.kind), None)
        if kind is None:
            raise ValueError(f"{self.kind} is no kind of Sublet's")
        if kind.namespaced != (self.metadata.namespace is not None):
            raise ValueError(
                f"a {self.kind} is known by its name{' and namespace' * kind.namespaced}"
            )
        return self


class _Credential(BaseModel):
    """A leased cluster's Secret: of no type that a cluster itself acts upon."""

    kind: Literal["Secret"]
    type: str = "Opaque"
    metadata: _Meta

    @model_validator(mode="after")
    def _is_ours(self) -> Self:
        if self.type in _ACTED_UPON:
            raise ValueError(f"a Secret of type {self.type}")
        if self.metadata.labels.get(CREDENTIALS_LABEL) != "true" or not self.metadata.namespace:
            raise ValueError("a Secret that is no leased cluster's credential")
        return self


class _Ledger(BaseModel):
    entries: Annotated[int, Field(ge=0)]
    head: str


class _Content(BaseModel):
    """What a file must hold. Its digest tells of damage, not of who wrote it: anybody can make one that fits."""

    model_config = ConfigDict(strict=True)

    hub: str
    taken_time: Annotated[str, Field(alias="takenTime")]
    ledger: _Ledger | None
    namespaces: list[_Namespace]
    objects: list[_Object]
    credentials: list[_Credential]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        parse_instant(self.taken_time)
        used = {o.metadata.namespace for o in self.objects}
        if strange := [n.metadata.name for n in self.namespaces if n.metadata.name not in used]:
            raise ValueError(f"nothing is in namespace {strange[0]}")
        return self


def key_of(obj: Mapping[str, Any]) -> str:
    """Return `namespace/name` of an object, or its name alone."""
    meta = obj["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def _place(obj: Mapping[str, Any]) -> tuple[int, str]:
    return _ORDER.get(obj["kind"], len(_ORDER)), key_of(obj)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(content).encode()).hexdigest()


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
