"""`sublet restore FILE`: makes what a backup holds again on the hub, and nothing twice.

Each object gets a mark at its creation by which the operator holds it: a status can't be given with it, and a claim
with none but the CRD's default would be planned as new. Then it gets its status, with the UID that it had. `sublet adopt`
goes on from there; a class goes by its old UID at once. An object that is there in an older state is held in the same way:
the ledger and the nodes may know more than the backup. What somebody had deleted is deleted again at last.
Every step may be repeated; what was begun is finished by running it again. What the hub refuses keeps nothing else.
A spec that somebody may have changed since is never written over without a yes. One that only older rules took can't be made
again: a person makes or mends the object by hand, and says on it for which backup.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from sublet.api.kinds import CLAIMS, CLASSES, KINDS
from sublet.api.origin import ADOPTED, RESTORED, former_uid, is_awaited
from sublet.api.reading import Unreadable, read_claim
from sublet.api.times import Millis, format_instant
from sublet.api.wording import how_many
from sublet.cli.connect import Cluster
from sublet.cli.keeping.archive import Archive, Body, key_of
from sublet.cli.keeping.judgement import (
    HALFWAY,
    SPEC_AS_OF,
    WORDS_OF_PERSONS,
    Step,
    differing,
    dropped,
    identity,
    judge,
    keeps_spec,
    lacks_deletion,
)
from sublet.cli.keeping.mapping import Term, is_behind
from sublet.cli.output import show_table
from sublet.cli.problems import Problem, note
from sublet.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, Unauthorized

_OF_ONE_OBJECT: Final = frozenset({"sublet.dev/requested-by", SPEC_AS_OF})
"""Annotations that hold for the object that has them, and not for one that is made of it."""
_KINDS: Final = {kind.name: kind for kind in KINDS}
_MAKES: Final = (Step.CREATE, Step.FINISH, Step.REFRESH, Step.UPDATE)
_TOUCHES: Final = (*_MAKES, Step.BEHIND, Step.DELETE)
_DIFFERS: Final = (Step.UPDATE, Step.BEHIND, Step.NEWER, Step.OTHER)
_WORDS: Final[Mapping[Step, str]] = {
    Step.CREATE: "isn't there: it is made again",
    Step.FINISH: "was made by an earlier restore: it gets its status",
    Step.REFRESH: "was restored from an older backup, or not completely: it is brought to this one",
    Step.KEEP: "is there, and stays as it is",
    Step.DELETE: "was being deleted when the backup was taken: deleted again",
    Step.UPDATE: "is there in an older state: it is brought to the backup's, and held",
    Step.NEWER: "is there in a newer state, or nothing shows that it is older: it stays as it is",
    Step.BEHIND: "is there, and the ledger knows more of it: it is held as it is",
    Step.BARE: "was being restored itself when the backup was taken: take it from the backup that it came from",
    Step.OTHER: "is another object, and stays as it is",
}


@dataclass(frozen=True, slots=True)
class Order:
    """One object of a backup, what the hub has of that name, and what is done about it."""

    saved: Body
    live: Body | None
    step: Step
    keeps_spec: bool = False
    """Its spec stays, whatever the backup's is."""

    @property
    def fields(self) -> list[str]:
        """Return the fields of the spec in which what the hub has isn't the backup's."""
        if self.live is None:
            return []
        return sorted(differing(self.live.get("spec"), _spec_of(self.saved, self.live), "spec"))

    @property
    def needs_yes(self) -> bool:
        """Say whether a person must say yes: the object differs, or somebody may have given it the spec that it has."""
        changes = self.step in (Step.FINISH, Step.REFRESH) and not self.keeps_spec
        return self.step in _DIFFERS or (changes and bool(self.fields))


async def look(
    hub: Cluster, archive: Archive, terms: Mapping[str, Term] | None = None
) -> list[Order]:
    """Judge every object of a backup by what the hub has now.

    `terms`: claim UID -> what the ledger had of it last before this look: it never knows more than a hub that goes on.
    """
    orders = []
    for saved in archive.objects:
        live = await _read(hub, _path(saved))
        taken = format_instant(archive.taken_ms)
        step = judge(saved, live, taken)
        if step in (Step.KEEP, Step.NEWER) and _is_behind(live, terms or {}):
            step = Step.BEHIND
        orders.append(Order(saved, live, step, live is not None and keeps_spec(live, taken)))
    return orders


def _is_behind(live: Body | None, terms: Mapping[str, Term]) -> bool:
    if live is None or live["kind"] != CLAIMS.name or is_awaited(live):
        return False
    term = terms.get(former_uid(live))
    if term is None:
        return False
    try:
        return is_behind(read_claim(live), term)
    except Unreadable:
        return False  # nobody can tell: it stays as it is


def show(orders: list[Order]) -> None:
    """Print what is done about each object."""
    rows = [[o.saved["kind"], key_of(o.saved), o.step.value, _why(o)] for o in orders]
    show_table(("kind", "name", "step", "why"), rows)


def _why(order: Order) -> str:
    is_deleted = order.step in _MAKES and "deletionTimestamp" in order.saved["metadata"]
    words = _WORDS[order.step] + (", and deleted again, as it was" if is_deleted else "")
    fields = ", ".join(order.fields)
    if fields and order.keeps_spec:
        return f"{words}; its spec stays, and differs in {fields}"
    return f"{words}; its spec changes in {fields}" if fields and order.step in _MAKES else words


async def restore(hub: Cluster, archive: Archive, orders: list[Order], *, agreed: bool) -> int:
    """Carry out what was judged; return how many objects were written. Problem if a person must say yes first."""
    asking = [o for o in orders if o.needs_yes]
    if asking and not agreed:
        raise Problem(
            f"{how_many(len(asking), 'object')} differing from the backup, and nothing was written; look at them above, and give "
            "--yes to bring older ones to the backup's state (newer and other ones always stay)"
        )
    touched = [o for o in orders if o.step in _TOUCHES]
    works = [
        *((each, partial(_make_namespace, hub, each)) for each in archive.namespaces),
        *((each, partial(_make_credential, hub, each)) for each in archive.credentials),
        *((order.saved, partial(_carry_out, hub, order, archive.taken_ms)) for order in touched),
    ]
    missing = [saved for saved, work in works if not await _is_taken(saved, work)]
    if missing:
        count = how_many(len(missing), "object", "isn't", "aren't")
        raise Problem(
            f"{count} written, as said above; run it again when that is mended (docs/backup.md says how)"
        )
    return len(touched)


async def _is_taken(saved: Body, work: Callable[[], Awaitable[None]]) -> bool:
    """Do one object's work; say what the hub has against it, so that it keeps no other one."""
    name = f"{saved['kind']} {key_of(saved)}"
    try:
        await work()
    except Unauthorized:  # the hub has something against us, not against this object
        raise
    except Conflict as error:
        note(f"{name} changed meanwhile ({error.message})")
    except ApiError as error:
        note(f"{name} isn't accepted: {error.message}")
    else:
        return True
    return False


async def _carry_out(hub: Cluster, order: Order, taken_ms: Millis) -> None:
    saved, live = order.saved, order.live
    if live is None or order.step is not Step.DELETE:
        live = await _make(hub, order, taken_ms)
    if order.step is not Step.BEHIND and lacks_deletion(saved, live):
        with suppress(NotFound):
            await hub.delete(_path(saved), uid=live["metadata"]["uid"])


async def _make(hub: Cluster, order: Order, taken_ms: Millis) -> Body:
    """Bring an object to the backup's state, held, or hold it as it is; return it as the hub has it."""
    saved, live, path = order.saved, order.live, _path(order.saved)
    is_class = saved["kind"] == CLASSES.name  # it holds nothing: it never waits to be adopted
    if live is None:
        newborn = _newborn(saved)
        live = await hub.create(path.rpartition("/")[0], newborn)
        _note_dropped(saved, "spec", newborn["spec"], live)
    elif order.step is Step.BEHIND:
        return await _put_status(hub, path, live, restored_status(saved, taken_ms, of=live))
    elif order.fields and not order.keeps_spec:
        live = await _bring_spec(hub, order, live, taken_ms)
    if is_class and identity(live) == identity(saved):
        return live
    status = class_status(saved, taken_ms, live) if is_class else restored_status(saved, taken_ms)
    _note_dropped(saved, "status", status, await _put_status(hub, path, live, status))
    return live


def _note_dropped(saved: Body, part: str, sent: Body, shown: Body) -> None:
    if fields := dropped(sent, shown.get(part) or {}, part):
        note(
            f"{saved['kind']} {key_of(saved)}: the hub's CRDs don't know {', '.join(sorted(fields))}, and drop "
            f"{'it' if len(fields) == 1 else 'them'}: apply the operator's CRDs (docs/backup.md says what then)"
        )


async def _bring_spec(hub: Cluster, order: Order, live: Body, taken_ms: Millis) -> Body:
    """Write the backup's spec, with the object held meanwhile.

    If the hub doesn't take it, the object stays as it was: nothing is left halfway that no further run could end.
    """
    saved, path, held = order.saved, _path(order.saved), live
    spec = _spec_of(saved, live)
    needs_hold = saved["kind"] != CLASSES.name and order.step is not Step.FINISH
    if needs_hold:
        held = await _put_status(hub, path, live, _halfway_status(saved, taken_ms, live))
    try:
        written: Body = await hub.replace(path, {**held, "spec": spec})
    except (Invalid, Forbidden):
        if needs_hold:
            await _put_status(hub, path, held, live.get("status") or {})
        raise
    _note_dropped(saved, "spec", spec, written)
    return written


def _halfway_status(saved: Body, taken_ms: Millis, live: Body) -> Body:
    """Return the status with which an object is held while its spec is changed to the backup's.

    The API server keeps what a claim is reserved by, so it counts as leaving instead: what it holds stays held, and with
    a spec and a status of two times nothing is planned and nothing adopted.
    """
    status = restored_status(saved, taken_ms, of=live)
    *before, adopted = status["conditions"]
    reserved = [c for c in before if (c["type"], c["status"]) == ("Reserved", "True")]
    loosened = {"Reserved", "Ended"} | ({"Releasing"} if reserved else set())
    leaving = [{**c, "type": "Releasing"} for c in reserved]
    others = [c for c in before if c["type"] not in loosened]
    return {**status, "conditions": [*others, *leaving, {**adopted, "reason": HALFWAY}]}


def restored_status(saved: Body, taken_ms: Millis, of: Body | None = None) -> Body:
    """Return the status with which an object waits to be adopted: the backup's, or `of`'s, and who it was."""
    status = dict((of or saved).get("status") or {})
    taken = format_instant(taken_ms)
    condition = {
        "type": ADOPTED,
        "status": "False",
        "reason": "AwaitingAdoption",
        "message": f"restored from the backup of {taken}; nothing is done for it before the platform team runs "
        "`sublet adopt`, and what holds GPUs isn't deleted before that",
        "lastTransitionTime": taken,
    }
    others = [c for c in status.get("conditions") or () if c["type"] != ADOPTED]
    origin = {"uid": identity(saved), "backupTime": taken}
    return {**status, "origin": origin, "conditions": [*others, condition]}


def class_status(saved: Body, taken_ms: Millis, live: Body) -> Body:
    """Return the status with which a class goes by the UID that it had, from when the hub has it on.

    Claims whose prices float follow it by that UID; nothing in a leased cluster tells more of it, so nothing is waited for.
    """
    origin = {
        "uid": identity(saved),
        "backupTime": format_instant(taken_ms),
        "adoptedTime": live["metadata"]["creationTimestamp"],
    }
    return {**(saved.get("status") or {}), "origin": origin}


def _newborn(saved: Body) -> Body:
    """Return an object as it is made again; who asked for it is stamped by admission, which won't take our word."""
    meta = saved["metadata"]
    annotations = {
        k: v for k, v in (meta.get("annotations") or {}).items() if k not in _OF_ONE_OBJECT
    }
    annotations[RESTORED] = identity(saved)
    kept = {k: meta[k] for k in ("name", "namespace", "labels", "finalizers") if k in meta}
    return {
        "apiVersion": saved["apiVersion"],
        "kind": saved["kind"],
        "metadata": {**kept, "annotations": annotations},
        "spec": _spec_of(saved),
    }


def _spec_of(saved: Body, live: Body | None = None) -> Body:
    """Return the spec without a person's word, which holds for one object and in that person's name: its effect is status."""
    kept = {k: v for k, v in ((live or {}).get("spec") or {}).items() if k in WORDS_OF_PERSONS}
    return {**{k: v for k, v in saved["spec"].items() if k not in WORDS_OF_PERSONS}, **kept}


async def _put_status(hub: Cluster, path: str, live: Body, status: Body) -> Body:
    meta = live["metadata"]
    body = {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {k: meta[k] for k in ("name", "namespace", "resourceVersion") if k in meta},
        "status": status,
    }
    written: Body = await hub.replace(f"{path}/status", body)
    return written


async def _make_namespace(hub: Cluster, saved: Body) -> None:
    if await _read(hub, f"/api/v1/namespaces/{saved['metadata']['name']}") is None:
        await hub.create("/api/v1/namespaces", saved)


async def _make_credential(hub: Cluster, saved: Body) -> None:
    """Make a leased cluster's Secret if it isn't there; one that is may be newer, and stays."""
    path = f"/api/v1/namespaces/{saved['metadata']['namespace']}/secrets"
    if await _read(hub, f"{path}/{saved['metadata']['name']}") is None:
        meta = {k: v for k, v in saved["metadata"].items() if k in _OF_SECRETS}
        await hub.create(path, {**saved, "metadata": meta})


_OF_SECRETS: Final = ("name", "namespace", "labels", "annotations")


def _path(saved: Body) -> str:
    meta = saved["metadata"]
    return _KINDS[saved["kind"]].path(meta.get("namespace", ""), meta["name"])


async def _read(hub: Cluster, path: str) -> Body | None:
    try:
        return await hub.get(path)
    except NotFound as error:
        if error.details.get("name"):
            return None
        raise
