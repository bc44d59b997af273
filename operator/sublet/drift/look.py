"""Reads what a leased cluster holds of ours: by our label, page by page, in seven requests however many claims there are.

Nothing is believed of a cluster that isn't the one that the lease is pinned to: it is asked who it is after the lists.
What it lists stays the text that it came in until somebody compares it, one object at a time: as objects a stranger's
text can take twenty times as much memory and more. Whatever is done with it leaves the others their turns.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from sublet.binder.identity import confirm
from sublet.binder.namespace import CLAIM_LABEL
from sublet.drift.compare import PLURALS, Obj, Observed, Place
from sublet.fleet.cluster import LeasedCluster
from sublet.kube.bodies import decode, decoder_of
from sublet.kube.errors import BadAnswer, NotFound
from sublet.kube.lists import item_of
from sublet.kube.pace import Pace
from sublet.kube.paging import pages
from sublet.kube.session import ApiServer
from sublet.kube.wire import Named

K = TypeVar("K")
_MOST_PAGES: Final = 200
"""Of one list."""
MOST_BYTES: Final = 96 * 1024 * 1024
"""Of all that one look keeps; what is written for a claim has 3 KB, before the server adds its own. Four are made side by side."""
_BESIDE_BYTES: Final = 300
"""What each object takes beside its text: of small ones more than that."""
_MOST_OBJECT_BYTES: Final = 512 * 1024
"""Each is some KB as we write it; what others may note on it is half of this at most."""


class _About(msgspec.Struct):
    metadata: Named


_ABOUT: Final = decoder_of(_About)
_OBJECT: Final = decoder_of(dict[str, Any])


class Packed(Mapping[K, Obj]):
    """Objects as the text that they came in, each decoded when it is asked for."""

    def __init__(self, texts: Mapping[K, bytes]) -> None:
        self._texts = texts

    def __getitem__(self, key: K) -> Obj:
        """Return one object; BadAnswer if it is none."""
        return decode(self._texts[key], _OBJECT)

    def __iter__(self) -> Iterator[K]:
        """Yield the keys."""
        return iter(self._texts)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._texts)


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a cluster shows under our label."""

    namespaces: Mapping[str, Obj]
    objects: Mapping[str, Mapping[Place, Obj]]
    """namespace -> what is in it"""

    def home(self, name: str) -> Observed:
        """Return one namespace as seen."""
        return Observed(self.namespaces.get(name), self.objects.get(name, {}))


async def look(cluster: LeasedCluster) -> Sight:
    """List everything under our label; raises the errors of the API, and Unreachable if it is another cluster now."""
    lists = _Lists(cluster.api)
    # contents first: what is made meanwhile is then in a namespace that is seen
    objects: dict[str, dict[Place, bytes]] = {}
    for plural, group in PLURALS.items():
        async for meta, text in lists.items(f"{group}/{plural}"):
            objects.setdefault(meta.namespace, {})[plural, meta.name] = text
    namespaces = {meta.name: text async for meta, text in lists.items("/api/v1/namespaces")}
    await confirm(cluster)
    return Sight(Packed(namespaces), {name: Packed(texts) for name, texts in objects.items()})


async def look_into(cluster: LeasedCluster, name: str) -> Observed:
    """Read one namespace and what it holds, live."""
    api = cluster.api
    try:
        namespace = await api.get(f"/api/v1/namespaces/{name}")
    except NotFound:
        await confirm(cluster)
        return Observed(None)
    lists, objects = _Lists(api), dict[Place, bytes]()
    for plural, group in PLURALS.items():
        async for meta, text in lists.items(f"{group}/namespaces/{name}/{plural}"):
            objects[plural, meta.name] = text
    return Observed(namespace, Packed(objects))


async def find_named(api: ApiServer, name: str, place: Place) -> Obj | None:
    """Read one object, whoever made it; by a list, which needs no right of its own."""
    plural, wanted = place
    path = f"{PLURALS[plural]}/namespaces/{name}/{plural}"
    listing = await api.get(path, fieldSelector=f"metadata.name={wanted}")
    return next(iter(listing.get("items") or ()), None)


@dataclass(slots=True)
class _Lists:
    """The lists of one look, which share what it may keep."""

    _api: ApiServer
    _pace: Pace = field(default_factory=Pace, init=False)
    _kept_bytes: int = field(default=0, init=False)

    async def items(self, path: str) -> AsyncIterator[tuple[Named, bytes]]:
        """Yield name and text of everything under our label; BadAnswer if it is more than one look may keep."""
        ours = {"labelSelector": CLAIM_LABEL}
        async for page in pages(self._api, path, ours, most=_MOST_PAGES):
            async for found in self._pace.over(self._take(text, path) for text in page.items):
                yield found

    def _take(self, item: msgspec.Raw, path: str) -> tuple[Named, bytes]:
        self._kept_bytes += len(item) + _BESIDE_BYTES
        if len(item) > _MOST_OBJECT_BYTES or self._kept_bytes > MOST_BYTES:
            raise BadAnswer(f"the list of {path} holds more than anybody made for claims")
        return item_of(item, _ABOUT, path).metadata, bytes(item)
