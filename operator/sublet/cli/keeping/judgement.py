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
    origin = (obj.get("status") or {}).get("origin") or {}
    return str(origin.get("uid") or obj["metadata"]["uid"])


def _is_halfway(obj: Obj) -> bool:
    """Say whether a restore broke off after it had begun to change an object's spec."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c["type"] == ADOPTED and c.get("reason") == HALFWAY for c in conditions)


def is_marked(saved: Obj, live: Obj) -> bool:
    """Say whether a restore made this object of that one, or a person did and wrote so."""
    mark = (live["metadata"].get("annotations") or {}).get(RESTORED)
    return bool(mark == identity(saved))


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


def _lacks_fields(saved: Obj, live: Obj) -> bool:
    """Say whether the hub's CRDs were older when an object was restored, and dropped some of it."""
    spec = {k: v for k, v in saved["spec"].items() if k not in WORDS_OF_PERSONS}
    return bool(
        dropped(spec, live.get("spec"), "spec") or dropped(_plain(saved), _plain(live), "status")
    )


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
    if is_new and is_marked(saved, live):
        return Step.FINISH
    if saved["kind"] == CLASSES.name:
        return _class(saved, live)
    origin = (live.get("status") or {}).get("origin") or {}
    if origin and identity(live) == identity(saved):
        is_held = "adoptedTime" not in origin
        lacks = origin["backupTime"] == taken and _lacks_fields(saved, live)
        if is_held and (origin["backupTime"] < taken or _is_halfway(live) or lacks):
            return Step.REFRESH
        return Step.DELETE if is_held and lacks_deletion(saved, live) else Step.KEEP
    return Step.OTHER


def _class(saved: Obj, live: Obj) -> Step:
    """Judge a class of that name: claims name it, and only those whose prices float know its UID."""
    is_alike = live.get("spec") == saved.get("spec")
    if identity(live) == identity(saved):
        # with another spec a person finished it, or changed it since: it goes on
        return Step.DELETE if is_alike and lacks_deletion(saved, live) else Step.KEEP
    floats = (saved.get("spec") or {}).get("pricing") == Pricing.FLOATING
    return Step.KEEP if is_alike and not floats else Step.OTHER


def _same(saved: Obj, live: Obj, taken: str) -> Step:
    is_undeleted = lacks_deletion(saved, live)
    if not is_undeleted and all(live.get(p) == saved.get(p) for p in ("spec", "status")):
        return Step.KEEP
    ours, theirs = _age(live), _age(saved)
    if _is_halfway(live):  # a person may have put its spec right
        ours = (theirs[0], *ours[1:])
    if ours[0] > theirs[0] or ours[1] > theirs[1] or ours[2] > theirs[2]:
        return Step.NEWER
    origin = (live.get("status") or {}).get("origin") or {}
    if origin and is_awaited(live):
        is_done = origin["backupTime"] > taken or _is_as_saved(saved, live)
        if _is_halfway(live) or not is_done:
            return Step.REFRESH
        return Step.DELETE if is_undeleted else Step.KEEP
    # much of a status changes without a mark of its age: of two that look the same age the hub's is believed
    return Step.UPDATE if ours != theirs or is_undeleted else Step.NEWER


def _is_as_saved(saved: Obj, live: Obj) -> bool:
    """Say whether a restored object has what the backup says, but for what tells that it is held."""
    return live.get("spec") == saved.get("spec") and _plain(live) == _plain(saved)


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
