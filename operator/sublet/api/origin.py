"""An object that was restored from a backup, and who it was before: the API server gives it a new UID, we don't.

Nodes' books, claim namespaces, the pods in them, policies and the ledger know a claim, a lease and a tenant by UID.
A restored object waits, and nothing is planned for it, until a person says with `sublet adopt` that it is the old one:
from then on it goes by the old UID everywhere but in the hub's own API. Status alone decides, which no tenant can write.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Protocol

from pydantic import Field, model_validator

from sublet.api.common import Instant, ObjectMeta
from sublet.api.names import UID_PATTERN
from sublet.api.schema import ApiModel, StatusModel
from sublet.api.times import Millis, parse_instant

RESTORED: Final = "sublet.dev/restored"
"""On a restored object from its creation on, with the UID it had: nothing is planned for it before it has a status."""
_BY_DEFAULT: Final = frozenset({"conditions", "observedGeneration"})
"""What the API server shows as the status of an object to which nobody has written one."""
ADOPTED: Final = "Adopted"
"""Condition of a restored object."""


class Origin(StatusModel):
    """Who an object was that was restored from a backup."""

    uid: Annotated[str, Field(pattern=UID_PATTERN, max_length=36)]
    """UID of the object that it was restored from."""
    backup_time: Instant
    """When the backup was taken."""
    adopted_time: Instant | None = None
    """When a person said that it is that object, and goes by its UID; nothing is planned for it before."""
    adopted_by: Annotated[str | None, Field(max_length=1024)] = None
    """Who said so."""


class HasStatus(Protocol):
    """An object with a status."""

    @property
    def status(self) -> ApiModel:
        """Return what the operator says of it."""


class Restorable(ApiModel):
    """Base of the kinds that go by the UID of what they were restored from, once that is adopted."""

    @model_validator(mode="before")
    @classmethod
    def _go_by_origin(cls, data: Any) -> Any:
        """Put the old UID in the place of the API server's, which the hub's own requests still need."""
        status = data.get("status") if isinstance(data, Mapping) else None
        origin = status.get("origin") if isinstance(status, Mapping) else None
        if not isinstance(origin, Mapping) or not origin.get("adoptedTime"):
            return data
        meta = data.get("metadata")
        if not isinstance(meta, Mapping) or meta.get("uid") in (None, origin.get("uid")):
            return data
        return {**data, "metadata": {**meta, "uid": origin.get("uid"), "objectUid": meta["uid"]}}


def is_bare(raw: Mapping[str, Any]) -> bool:
    """Say whether nobody has written a status to an object on the wire; the API server shows the CRD's default then."""
    status = raw.get("status") or {}
    return _BY_DEFAULT.issuperset(status) and not status.get("observedGeneration")


def has_bare_status(item: HasStatus) -> bool:
    """Say whether nobody has written a status to an object."""
    status = item.status
    return status.model_copy(update={"conditions": ()}) == type(status)()


def former_uid(raw: Mapping[str, Any]) -> str:
    """Return the UID that an object on the wire goes by, or will once it is adopted."""
    meta, status = raw.get("metadata") or {}, raw.get("status") or {}
    origin = status.get("origin") or {}
    annotated = (meta.get("annotations") or {}).get(RESTORED) if is_bare(raw) else None
    return str(origin.get("uid") or annotated or meta.get("uid"))


def is_awaited(raw: Mapping[str, Any]) -> bool:
    """Say whether an object on the wire was restored and waits to be adopted."""
    status = raw.get("status") or {}
    origin = status.get("origin") or {}
    annotated = RESTORED in ((raw.get("metadata") or {}).get("annotations") or {})
    return bool(origin or (annotated and is_bare(raw))) and not origin.get("adoptedTime")


def awaited_uids(raws: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the UIDs of those that wait to be adopted; none by which another goes already: anybody can write the mark."""
    every = [(former_uid(raw), is_awaited(raw)) for raw in raws]
    return frozenset(
        {uid for uid, waits in every if waits} - {u for u, waits in every if not waits}
    )


def backup_times(raws: Iterable[Mapping[str, Any]]) -> frozenset[Millis]:
    """Return when the backups were taken that objects on the wire are from."""
    origins = ((raw.get("status") or {}).get("origin") or {} for raw in raws)
    return frozenset(parse_instant(o["backupTime"]) for o in origins if "backupTime" in o)


def as_it_was(meta: ObjectMeta, origin: Origin | None) -> ObjectMeta:
    """Return the metadata that a restored object will have once it is adopted."""
    uid = origin.uid if origin is not None else meta.annotations.get(RESTORED, meta.uid)
    return meta.model_copy(update={"uid": uid, "object_uid": meta.own_uid})


def awaits_adoption(meta: ObjectMeta, origin: Origin | None, *, is_new: bool) -> bool:
    """Say whether nothing may be planned for an object yet.

    `is_new`: nobody has written a status to it. The mark counts only until then: on an object that was planned it would let its owner
    keep what it holds for ever.
    """
    if origin is None:
        return is_new and RESTORED in meta.annotations
    return origin.adopted_time is None
