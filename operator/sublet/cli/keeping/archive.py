"""The file that `sublet backup` writes: Sublet's objects with their status, as canonical JSON. Pure.

The same hub gives the same bytes but for the time: objects are sorted, keys too, and what the API server keeps for
itself is left out. A digest at the end shows a file that was cut or changed. No Secret is in it, unless it was asked for.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sublet.api.kinds import KINDS
from sublet.api.times import Millis, format_instant, parse_instant
from sublet.cli.problems import Problem

Body = dict[str, Any]

FORMAT: Final = "sublet-backup/1"
_META: Final = (
    "name", "namespace", "uid", "generation", "labels", "annotations", "finalizers",
    "creationTimestamp", "deletionTimestamp",
)  # fmt: skip
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
    except ValueError:
        raise Problem("it is no backup: not JSON, or cut off") from None
    if not isinstance(data, dict) or not str(data.get("format", "")).startswith("sublet-backup/"):
        raise Problem("it is no backup that `sublet backup` wrote")
    if data["format"] != FORMAT:
        raise Problem(f"it is of format {data['format']}, this version of sublet reads {FORMAT}")
    said = data.pop("sha256", None)
    if said != _digest(data):
        raise Problem("its digest is not that of its content: it was changed or damaged")
    ledger = data["ledger"]
    return Archive(
        hub_uid=data["hub"],
        taken_ms=parse_instant(data["takenTime"]),
        ledger=Position(ledger["entries"], ledger["head"]) if ledger else None,
        namespaces=tuple(data["namespaces"]),
        objects=tuple(data["objects"]),
        credentials=tuple(data["credentials"]),
    )


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
