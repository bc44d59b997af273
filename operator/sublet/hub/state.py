"""What the hub's objects say, parsed once per change.

Written by the feeders (watch events) and by the answers of our own writes; a newer resourceVersion wins, so a late
event never takes a state back. Read by the loop's snapshots and by metrics. An object that can't be parsed is kept
apart with its fault and disturbs nothing; a claim of which only the spec can't be is there with what it holds, and its
fault keeps it from being planned. A lease, class or tenant goes on by the spec that was read before, if there is one.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from sublet.api.common import ObjectMeta
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.kinds import CLAIMS, CLASSES, LEASES, TENANTS
from sublet.api.origin import as_it_was, awaits_adoption, former_uid, is_bare
from sublet.api.reading import Unreadable, fault_of, read_claim, read_terms
from sublet.book.holdings import holds
from sublet.book.unread import UnreadHolder
from sublet.hub.unread_holder import holder_of
from sublet.kube.versions import is_newer
from sublet.logs import log_about_object

K = TypeVar("K", GpuClaim, GpuClass, GpuLease, GpuTenant)


@dataclass(frozen=True)
class Unread:
    """An object that can't be taken, as it is on the wire."""

    key: str
    fault: str
    body: Mapping[str, Any]
    is_twin: bool = False
    """Another object goes by its UID, and holds what it says that it holds."""

    @cached_property
    def holder(self) -> UnreadHolder | None:
        """Return what it holds if it is a claim, read once: passes are many."""
        return None if self.is_twin else holder_of(self.key, self.body)


class Shelf(Generic[K]):
    """The objects of one kind by UID."""

    def __init__(
        self,
        model: type[K],
        changed: Callable[[], None],
        *,
        read: Callable[[Mapping[str, Any], K | None], K] | None = None,
        stays: Callable[[K], bool] = lambda _: True,
    ) -> None:
        """`read`: parses an object, beside what it was before; `stays`: whether one is kept that can't be parsed any more."""
        self._model: type[K] = model
        self._read: Callable[[Mapping[str, Any], K | None], K] = read or (
            lambda body, _: model.model_validate(body)
        )
        self._stays: Callable[[K], bool] = stays
        self._unread: dict[str, Unread] = {}  # the API server's UID -> object that can't be taken
        self._changed = changed
        self._items: dict[str, K] = {}  # UID -> object
        self._by_key: dict[str, str] = {}  # namespace/name -> UID
        self._known_as: dict[str, str] = {}  # the API server's UID of an adopted object -> its UID
        self.restored: dict[str, K] = {}
        """The API server's UID -> object that was restored from a backup and waits to be adopted; held, never planned."""
        self._followers: list[set[str]] = []
        self.broken: dict[str, str] = {}
        """namespace/name -> what is wrong with an object that can't be parsed, or not whole"""

    def take(self, body: Mapping[str, Any]) -> K | None:
        """Take an object from the wire; returns it parsed, None if it can't be."""
        meta = body.get("metadata") or {}
        own_uid = str(meta.get("uid"))
        known = self._items.get(self._known_as.get(own_uid, own_uid))
        if known is not None and not is_newer(
            str(meta.get("resourceVersion")), known.metadata.resource_version
        ):
            return known  # most events are echoes of our own writes: not parsed again
        if self._is_late(own_uid, str(meta.get("resourceVersion"))):
            return None
        if (item := self._parsed(body, known)) is None:
            return None
        origin = getattr(item.status, "origin", None)
        if awaits_adoption(item.metadata, origin, is_new=is_bare(body)):
            self._hold(item)
            return item
        self.restored.pop(own_uid, None)
        if self._is_twin(item, body):
            return None
        self.put(item)
        return item

    def _parsed(self, body: Mapping[str, Any], known: K | None) -> K | None:
        """Return an object as it is now; of one that can't be parsed, what is known is kept only if it holds something."""
        meta = body.get("metadata") or {}
        own_uid = str(meta.get("uid"))
        try:
            return self._read(body, known or self.restored.get(own_uid))
        except ValidationError as error:
            fault = fault_of(error)
        except Unreadable as error:
            fault = str(error)
        if known is not None and not self._stays(known):
            self.drop(own_uid)
        name = str(meta.get("name"))
        key = f"{meta['namespace']}/{name}" if meta.get("namespace") else name
        self._unread[own_uid] = Unread(key, fault, body)
        self._say_broken(key, fault)
        self._changed()
        return None

    def _say_broken(self, key: str, fault: str) -> None:
        if self.broken.get(key) != fault:
            log = log_about_object(self._model.__name__, key)
            log.warning("object not understood", error=fault)
        self.broken[key] = fault

    def _note_fault(self, meta: ObjectMeta) -> None:
        self._unread.pop(meta.own_uid, None)
        if meta.fault:
            self._say_broken(meta.key, meta.fault)
        else:
            self.broken.pop(meta.key, None)

    def _is_twin(self, item: K, body: Mapping[str, Any]) -> bool:
        """Say whether another object goes by the same UID already: two can't be the same, and the first stays."""
        first, meta = self._items.get(item.metadata.uid), item.metadata
        if first is None or first.metadata.own_uid == meta.own_uid:
            return False
        fault = f"goes by the UID of {first.metadata.key}, which is there"
        if self.broken.get(meta.key) != fault:
            log = log_about_object(self._model.__name__, meta.key)
            log.error("object not taken", error=fault)
        self._unread[meta.own_uid] = Unread(meta.key, fault, body, is_twin=True)
        self.broken[meta.key] = fault
        return True

    def put(self, item: K) -> None:
        """Take a parsed object, unless a newer one is there."""
        meta, origin = item.metadata, getattr(item.status, "origin", None)
        if self._is_late(meta.own_uid, meta.resource_version):
            return
        if origin is not None and awaits_adoption(meta, origin, is_new=False):
            self._hold(item)
            return
        before = self._by_key.get(meta.key)
        # of a namesake too: the answer to a write of an object that was made anew since may come late
        for known in (self._items.get(meta.uid), self._items.get(before or "")):
            if known and not is_newer(meta.resource_version, known.metadata.resource_version):
                return
        if before is not None and before != meta.uid:
            self._items.pop(before, None)  # a namesake was made anew
            self._note(before)
        if meta.object_uid:
            self._known_as[meta.object_uid] = meta.uid
        self._note_fault(meta)
        self._items[meta.uid] = item
        self._by_key[meta.key] = meta.uid
        self._note(meta.uid)
        self._changed()

    def _is_late(self, own_uid: str, version: str) -> bool:
        """Say whether a version of an object is older than the one that waits to be adopted, or that can't be read.

        Such as the answer to a write of ours, after which a newer operator's was told of already.
        """
        held, unread = self.restored.get(own_uid), self._unread.get(own_uid)
        if unread is not None and not unread.is_twin:
            shown = (unread.body.get("metadata") or {}).get("resourceVersion")
            return not is_newer(version, str(shown))
        return held is not None and not is_newer(version, held.metadata.resource_version)

    def _hold(self, item: K) -> None:
        """Keep an object that waits to be adopted, and let go of what it was planned as, if a restore took it back."""
        own_uid = item.metadata.own_uid
        was = self._items.get(self._known_as.get(own_uid, own_uid))
        if was is not None and was.metadata.own_uid == own_uid:
            self.drop(own_uid)
        self._note_fault(item.metadata)
        self.restored[own_uid] = item
        self._changed()

    def drop(self, uid: str) -> None:
        """Forget an object that is gone; by its own UID or by the API server's."""
        if (unread := self._unread.pop(uid, None)) is not None:
            self.broken.pop(unread.key, None)
            self._changed()  # what it kept closed, or from deletion, is free
        if (held := self.restored.pop(uid, None)) is not None:
            self.broken.pop(held.metadata.key, None)
            self._changed()  # a lease that is deleted may wait for it
        uid = self._known_as.pop(uid, uid)
        item = self._items.pop(uid, None)
        if item is not None:
            if self._by_key.get(item.metadata.key) == uid:
                del self._by_key[item.metadata.key]
                self.broken.pop(item.metadata.key, None)
            self._note(uid)
            self._changed()

    def awaited(self) -> tuple[K, ...]:
        """Return the objects that wait to be adopted, by the UIDs that they had: what they hold is theirs, and only held."""
        found = []
        for item in self.restored.values():
            meta = as_it_was(item.metadata, getattr(item.status, "origin", None))
            found.append(item.model_copy(update={"metadata": meta}))
        return tuple(found)

    def sought(self, uid: str) -> K | None:
        """Return an object by UID, also one that waits to be adopted."""
        return self._items.get(uid) or next(
            (x for x in self.awaited() if x.metadata.uid == uid), None
        )

    def uids(self) -> set[str]:
        """Return the UIDs by which all go, those too that wait to be adopted or can't be taken."""
        unread = {former_uid(each.body) for each in self._unread.values()}
        return set(self._items) | {x.metadata.uid for x in self.awaited()} | unread

    def object_uids(self) -> set[str]:
        """Return what the API server calls all of them, those too that wait to be adopted or can't be taken."""
        known = {item.metadata.own_uid for item in self._items.values()}
        return known | set(self.restored) | set(self._unread)

    def version(self, own_uid: str) -> str | None:
        """Return the newest known resourceVersion of an object, by what the API server calls it; None if it isn't known."""
        if (unread := self._unread.get(own_uid)) is not None:
            return str((unread.body.get("metadata") or {}).get("resourceVersion"))
        known = self.restored.get(own_uid) or self._items.get(self._known_as.get(own_uid, own_uid))
        return known.metadata.resource_version if known is not None else None

    def unread(self) -> tuple[Unread, ...]:
        """Return the objects that can't be taken and aren't there by what they said before."""
        return tuple(
            each
            for uid, each in self._unread.items()
            if self._known_as.get(uid, uid) not in self._items
        )

    def untaken(self) -> tuple[Unread, ...]:
        """Return all objects that can't be taken."""
        return tuple(self._unread.values())

    def follow(self) -> set[str]:
        """Return the UIDs of all objects, to which those that change or go are added; whoever follows takes them out."""
        changed = set(self._items)
        self._followers.append(changed)
        return changed

    def _note(self, uid: str) -> None:
        for changed in self._followers:
            changed.add(uid)

    def get(self, uid: str) -> K | None:
        """Return an object by UID."""
        return self._items.get(uid)

    def named(self, key: str) -> K | None:
        """Return an object by `namespace/name`, or name if cluster-scoped."""
        return self._items.get(self._by_key.get(key, ""))

    def by_uid(self) -> dict[str, K]:
        """Return all objects by UID, as a copy."""
        return dict(self._items)

    def all(self) -> tuple[K, ...]:
        """Return all objects."""
        return tuple(self._items.values())


class HubState:
    """All of Sublet's objects on the hub, the PriorityClasses, and the credentials of leased clusters."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.changed = changed
        self.claims = Shelf(GpuClaim, changed, read=read_claim, stays=holds)
        self.leases = Shelf(GpuLease, changed, read=partial(read_terms, GpuLease))
        self.classes = Shelf(GpuClass, changed, read=partial(read_terms, GpuClass))
        self.tenants = Shelf(GpuTenant, changed, read=partial(read_terms, GpuTenant))
        self.priorities: dict[str, int] = {}
        """PriorityClass name -> value"""
        self.credentials: dict[str, Mapping[str, bytes]] = {}
        """Secret name -> key -> bytes; only Secrets of the operator's own namespace with our label"""
        self.credential_versions: dict[str, str] = {}
        """Secret name -> its resourceVersion"""
        self.synced = False
        """All kinds were listed at least once."""
        self.doubted = asyncio.Event()
        """A write found an object gone that we have: a watch may have lost its deletion."""

    def shelf(self, plural: str) -> Shelf[Any]:
        """Return the shelf of a kind."""
        shelves: dict[str, Shelf[Any]] = {
            CLAIMS.plural: self.claims,
            LEASES.plural: self.leases,
            CLASSES.plural: self.classes,
            TENANTS.plural: self.tenants,
        }
        return shelves[plural]

    def set_priority(self, name: str, value: int | None) -> None:
        """Take a PriorityClass's value; None: it is gone."""
        if value is None:
            self.priorities.pop(name, None)
        else:
            self.priorities[name] = value
        self.changed()

    def set_credentials(
        self, name: str, data: Mapping[str, bytes] | None, version: str = ""
    ) -> None:
        """Take a credential Secret's data and resourceVersion; None: it is gone."""
        if data is None:
            self.credentials.pop(name, None)
            self.credential_versions.pop(name, None)
        else:
            self.credentials[name] = data
            self.credential_versions[name] = version
        self.changed()
