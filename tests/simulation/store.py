"""The content of one API server: objects, versions, the log that watches read. No rule of admission is here.

Objects are plain JSON and never changed in place: each commit puts a new one. `resourceVersion` is one counter over all
kinds, as etcd's revision is (Kubernetes API concepts, "Resource versions").
"""

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from sublet.api.times import Millis, format_instant

Object = dict[str, Any]


class Key(NamedTuple):
    """Which object."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One committed write."""

    version: int
    type: str
    """ADDED, MODIFIED or DELETED."""
    key: Key
    after: Object
    """For a deletion the last state, with the deletion's version."""
    before: Object | None
    actor: str


Saved = tuple[dict[Key, Object], int]
"""A backup: all objects and the version."""


class Store:
    """One API server's etcd."""

    def __init__(self, name: str, rng: random.Random, now_ms: Callable[[], int]) -> None:
        self.name = name
        self.rng = rng
        self.now_ms = now_ms
        self.objects: dict[Key, Object] = {}
        self.version = 1000
        self.oldest = 1000
        """Changes up to this version are compacted: a watch from before it gets 410."""
        self.log: list[Change] = []
        self.followers: list[Callable[[Change], None]] = []
        """Told of every commit, at once."""
        self.restored: Callable[[], None] = lambda: None
        """Told when a backup has taken the place of everything."""
        self.epoch = 0
        """Rises when the server is restored from a backup: every watch ends."""

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return an object."""
        return self.objects.get(Key(resource, namespace, name))

    def all(self, resource: str, namespace: str = "") -> Iterator[Object]:
        """Yield the objects of a kind, of one namespace or of all."""
        for key, obj in self.objects.items():
            if key.resource == resource and (not namespace or key.namespace == namespace):
                yield obj

    def put(self, key: Key, obj: Object, actor: str = "") -> Object:
        """Commit an object as it is given, with a new version; one that says the same as before isn't written.

        A write that changes nothing isn't one (apiserver, storage/etcd3 store.go, GuaranteedUpdate).
        """
        before = self.objects.get(key)
        meta = obj["metadata"]
        if before is not None:
            meta["resourceVersion"] = before["metadata"]["resourceVersion"]
            if obj == before:
                return before
        else:
            meta["uid"] = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
            meta["creationTimestamp"] = instant(self.now_ms())
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        self.objects[key] = obj
        self._commit("ADDED" if before is None else "MODIFIED", key, obj, before, actor)
        return obj

    def remove(self, key: Key, actor: str = "") -> None:
        """Take an object away."""
        before = self.objects.pop(key)
        self.version += 1
        last = copy(before)
        last["metadata"]["resourceVersion"] = str(self.version)
        self._commit("DELETED", key, last, before, actor)

    def compact(self) -> None:
        """Forget the log."""
        self.log.clear()
        self.oldest = self.version

    def backup(self) -> Saved:
        """Return the content as it is; objects are never changed in place."""
        return dict(self.objects), self.version

    def restore(self, saved: Saved) -> None:
        """Go back to a backup: versions go back with it, and every watch ends."""
        self.objects, self.version = dict(saved[0]), saved[1]
        self.log.clear()
        self.oldest = self.version
        self.epoch += 1
        self.restored()

    def _commit(
        self, type_: str, key: Key, after: Object, before: Object | None, actor: str
    ) -> None:
        change = Change(self.version, type_, key, after, before, actor)
        self.log.append(change)
        for follow in self.followers:
            follow(change)


def copy(obj: Object) -> Object:
    """Return a deep copy."""
    found: Object = msgspec.json.decode(msgspec.json.encode(obj))
    return found


def instant(ms: int) -> str:
    """Return a time as metadata has it: whole seconds."""
    return format_instant(Millis(ms - ms % 1000))
