"""What a restore does about each object of a backup, judged by what the hub has of that name. Pure.

An object with the backup's UID is the very same one, in a hub that was itself restored from an older state, or not lost
at all: it is changed only if something of it is older and nothing newer. One with another UID is either restored already, or somebody else's.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from sublet.api.gpuclass import Pricing
from sublet.api.kinds import CLASSES
from sublet.api.origin import ADOPTED, RESTORED, is_awaited, is_bare

Obj = Mapping[str, Any]

HALFWAY: Final = "RestoreUnfinished"
"""Reason of the condition `Adopted` while spec and status of an object are of two times: nobody may say yes to it."""
SPEC_AS_OF: Final = "sublet.dev/spec-as-of"
"""A person's word that an object's spec stands for the one of the backup taken then; no later backup is meant by it."""
WORDS_OF_PERSONS: Final = frozenset({"lost", "forceRelease"})
"""Fields of a spec that hold for one object and in a person's name: never restored, as their effect is status."""
_NEVER: Final = ""


class Step(StrEnum):
    """What is done about one object."""

    CREATE = "create"
    """It isn't there."""
    FINISH = "finish"
    """An earlier restore made it and didn't come to its status."""
    REFRESH = "refresh"
    """It was restored from an older backup, or not completely, and isn't adopted yet."""
    KEEP = "keep"
    """It is there, and as it was or restored already."""
    DELETE = "delete"
    """It was restored, and somebody had deleted what it was: an earlier restore didn't come to that."""
    UPDATE = "update"
    """The hub has the same object in an older state: a person decides, and it is held like all that is restored."""
    NEWER = "newer"
    """The hub has the same object in a newer state, or in one that nothing shows to be older: never overwritten."""
    BEHIND = "behind"
    """The hub has the same claim, not older than the backup, and the ledger knows more of it: it is held as it is."""
    BARE = "bare"
    """A restore was making it when the backup was taken, and it had no status, or one of another time than its spec."""
    OTHER = "other"
    """The hub has another object of that name: never overwritten."""


def identity(obj: Obj) -> str:
    """Return the UID that an object goes by, or will once it is adopted."""
    return str(_origin(obj).get("uid") or obj["metadata"]["uid"])


def _is_halfway(obj: Obj) -> bool:
    """Say whether a restore broke off after it had begun to change an object's spec."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c["type"] == ADOPTED and c.get("reason") == HALFWAY for c in conditions)


def _is_marked(saved: Obj, live: Obj) -> bool:
    """Say whether a restore made this object of that one, or a person did and wrote so."""
    mark = (live["metadata"].get("annotations") or {}).get(RESTORED)
    return bool(mark == identity(saved))


def keeps_spec(live: Obj, taken: str) -> bool:
    """Say whether a restore leaves an object's spec alone.

    It got this backup's already, and what differs since is a person's or a pipeline's; or a person put it right for this one.
    """
    if _goes_on(live, taken):
        return False
    is_brought = _origin(live).get("backupTime") == taken and not _is_halfway(live)
    return is_brought or _is_put_right(live, taken)


def _goes_on(live: Obj, taken: str) -> bool:
    """Say whether an object was adopted from this backup or a newer one: nothing of this one is brought to it."""
    origin = _origin(live)
    return "adoptedTime" in origin and bool(origin["backupTime"] >= taken)


def _is_put_right(live: Obj, taken: str) -> bool:
    return bool((live["metadata"].get("annotations") or {}).get(SPEC_AS_OF) == taken)


def _origin(obj: Obj) -> Obj:
    return (obj.get("status") or {}).get("origin") or {}


def lacks_deletion(saved: Obj, live: Obj) -> bool:
    """Say whether somebody had deleted an object when the backup was taken, and the hub knows nothing of it."""
    was, is_now = (o["metadata"].get("deletionTimestamp") for o in (saved, live))
    return bool(was) and not is_now


def dropped(sent: Any, shown: Any, at: str) -> set[str]:
    """Name the fields that the hub didn't keep of what it was sent: its CRDs don't know them."""
    if isinstance(sent, Mapping) and isinstance(shown, Mapping):
        gone = {f"{at}.{name}" for name in sent.keys() - shown.keys()}
        both = sent.keys() & shown.keys()
        return gone.union(*(dropped(sent[name], shown[name], f"{at}.{name}") for name in both))
    if isinstance(sent, list) and isinstance(shown, list):
        pairs = zip(sent, shown, strict=False)
        return set[str]().union(*(dropped(one, other, f"{at}[]") for one, other in pairs))
    return set()


def differing(one: Any, other: Any, at: str) -> set[str]:
    """Name the fields in which two specs differ; a list is one."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = one.keys() | other.keys()
        return set[str]().union(*(differing(one.get(n), other.get(n), f"{at}.{n}") for n in names))
    return set() if one == other else {at}


def judge(saved: Obj, live: Obj | None, taken: str) -> Step:
    """Return what is to be done about one object of a backup that was taken at that instant (RFC 3339)."""
    if _is_halfway(saved):
        return Step.BARE
    if live is not None and live["metadata"]["uid"] == saved["metadata"]["uid"]:
        return _same(saved, live, taken)
    if is_awaited(saved) and is_bare(saved):
        return Step.BARE
    return Step.CREATE if live is None else _namesake(saved, live, taken)


def _namesake(saved: Obj, live: Obj, taken: str) -> Step:
    is_new = is_bare(live)  # what somebody wrote a status to is planned, whatever its mark says
    if is_new and _is_marked(saved, live):
        return Step.FINISH
    if saved["kind"] == CLASSES.name:
        return _class(saved, live)
    if not _origin(live) or identity(live) != identity(saved):
        return Step.OTHER
    return _held(saved, live, taken) if is_awaited(live) else Step.KEEP


def _held(saved: Obj, live: Obj, taken: str) -> Step:
    """Judge an object that was restored and waits to be adopted; its status may lack what older CRDs dropped."""
    since = _origin(live)["backupTime"]
    lacks = since == taken and dropped(_plain(saved), _plain(live), "status")
    if since < taken or _is_halfway(live) or lacks:
        return Step.REFRESH
    return Step.DELETE if lacks_deletion(saved, live) else Step.KEEP


def _class(saved: Obj, live: Obj) -> Step:
    """Judge a class of that name: claims name it, and only those whose prices float know its UID."""
    is_alike = live.get("spec") == saved.get("spec")
    if identity(live) == identity(saved):
        # with another spec a person finished it, or changed it since: it goes on
        return Step.DELETE if is_alike and lacks_deletion(saved, live) else Step.KEEP
    floats = (saved.get("spec") or {}).get("pricing") == Pricing.FLOATING
    return Step.KEEP if is_alike and not floats else Step.OTHER


def _same(saved: Obj, live: Obj, taken: str) -> Step:
    is_undeleted, is_right = lacks_deletion(saved, live), _is_put_right(live, taken)
    if not is_undeleted and all(live.get(p) == saved.get(p) for p in ("spec", "status")):
        return Step.KEEP
    if _goes_on(live, taken):
        return Step.NEWER
    if is_right and saved["kind"] == CLASSES.name:
        return Step.KEEP  # nothing but its spec is brought to a class
    ours, theirs = _age(live), _age(saved)
    if _is_halfway(live) or keeps_spec(live, taken):  # the spec's age says nothing then
        ours = (theirs[0], *ours[1:])
    if ours[0] > theirs[0] or ours[1] > theirs[1] or ours[2] > theirs[2]:
        return Step.NEWER
    if _origin(live) and is_awaited(live):
        return _held(saved, live, taken)
    # much of a status changes without a mark of its age: of two that look the same age the hub's is believed
    return Step.UPDATE if ours != theirs or is_undeleted or is_right else Step.NEWER


def _plain(obj: Obj) -> Obj:
    status = obj.get("status") or {}
    conditions = [c for c in status.get("conditions") or () if c["type"] != ADOPTED]
    return {**{k: v for k, v in status.items() if k != "origin"}, "conditions": conditions}


def _age(obj: Obj) -> tuple[int, int, str]:
    """Return what only grows while an object lives: its generation, its reservations, its newest change of a condition.

    resourceVersions don't serve: a restored etcd counts on from where it was.
    """
    status = _plain(obj)
    sequence = (status.get("allocation") or {}).get("sequence", 0)
    times = [str(c.get("lastTransitionTime", "")) for c in status.get("conditions") or ()]
    return int(obj["metadata"].get("generation", 0)), int(sequence), max(times, default=_NEVER)
