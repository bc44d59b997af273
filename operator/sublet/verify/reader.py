"""Reads a world: the hub, the leased clusters and the ledger, by GET requests alone.

The hub's claims are read first and again last: whatever was written to a claim in between is in `World.moving`, and no
invariant is judged across planes for it. So a reading beside a running operator tells nothing wrong; with writers held
still it tells everything. Of Secrets only the metadata is asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

from pydantic import ValidationError

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.kinds import CLAIMS, LEASES, Kind
from sublet.api.names import KUBECONFIG_TYPE
from sublet.api.origin import awaited_uids, former_uid, is_awaited
from sublet.api.schema import ApiModel
from sublet.api.times import MS_PER_SECOND, Millis, parse_instant
from sublet.clock import Clock, SystemClock
from sublet.kube.errors import KubeError
from sublet.kube.lists import objects_of
from sublet.ledger.chain import Proof
from sublet.ledger.entry import Entry
from sublet.ledger.port import LedgerUnavailable
from sublet.verify.clusters import Source
from sublet.verify.fleet import read_fleet
from sublet.verify.leaks import find_leaks, shown, texts_in
from sublet.verify.world import Leak, LedgerSeen, NodeKey, SecretSeen, Unknown, World

_LAG_MS: Final = 60 * MS_PER_SECOND
"""So long after a contract was edited a decision may still have been made by the old one."""
_HASHES_AT_ONCE: Final = 500
_API_EVENTS: Final = {"fieldSelector": "involvedObject.apiVersion=sublet.dev/v1alpha1"}

Json = dict[str, Any]
T = TypeVar("T")


class HubSource(Source, Protocol):
    """What is asked of the hub; `ApiServer` fulfils it."""

    async def list_metadata(self, path: str, type_: type[T], **params: str) -> T:
        """Read a list's metadata alone (`PartialObjectMetadataList`)."""


class LedgerSource(Protocol):
    """What is asked of the ledger; `SqlLedger` and `LedgerReader` fulfil it."""

    async def read_entries(self, after_seq: int = 0) -> list[Entry]:
        """Return the entries in order."""

    async def verify(self) -> Proof:
        """Prove the chain."""

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the texts behind hashes: hash -> text."""


async def read_world(
    hub: HubSource,
    clusters: Mapping[LeaseUID, Source],
    ledger: LedgerSource | None,
    *,
    clock: Clock | None = None,
) -> World:
    """Read everything once; see `WorldReader`."""
    return await WorldReader(hub, clusters, ledger, clock=clock).read()


class WorldReader:
    """Reads worlds one after the other; objects that didn't change aren't parsed again."""

    def __init__(
        self,
        hub: HubSource,
        clusters: Mapping[LeaseUID, Source],
        ledger: LedgerSource | None,
        *,
        clock: Clock | None = None,
        missing: Mapping[LeaseUID, str] = MappingProxyType({}),
    ) -> None:
        """Keep what to read from; `clusters` may change between readings.

        A lease without one is unknown, for the reason that `missing` gives.
        """
        self._hub = hub
        self._clusters = clusters
        self._ledger = ledger
        self._clock = clock or SystemClock()
        self._missing = missing
        self._most: dict[NodeKey, int] = {}  # node -> the most GPUs that it was seen with
        self._parsed: dict[
            tuple[str, str], Any
        ] = {}  # (UID, resourceVersion) -> model or what is wrong
        self._leaked: dict[tuple[str, str], tuple[Leak, ...]] = {}  # likewise -> leaks

    async def read(self) -> World:
        """Read everything once. Raises the hub's errors; a leased cluster's or the ledger's are in `unknown`."""
        every = [*await self._items(CLAIMS), *await self._items(LEASES)]
        awaited = awaited_uids(every)
        claims, leases = _of(CLAIMS, every), _of(LEASES, every)
        unknown: list[Unknown] = []
        unchecked: dict[str, str] = dict(_waiting(len(awaited)))
        secrets = await self._secrets(every, unknown)
        events = await self._events(unknown)
        seen = [m for raw in claims if isinstance(m := self._parse(GpuClaim, raw), GpuClaim)]
        contracts = [m for raw in leases if isinstance(m := self._parse(GpuLease, raw), GpuLease)]
        fleet = await read_fleet(self._clusters, contracts, seen, self._missing, self._most)
        ledger = await self._read_ledger(unknown, unchecked)
        again = _of(CLAIMS, await self._items(CLAIMS))
        now_ms = self._clock.now_ms()
        broken = [raw for raw in (*claims, *leases) if isinstance(self._parsed[_version(raw)], str)]
        unknown += [Unknown(_subject(raw), self._parsed[_version(raw)]) for raw in broken]
        leaks = [leak for raw in (*claims, *leases) for leak in self._leaks(raw, ("status",))]
        leaks += [leak for raw in events for leak in self._leaks(raw, ("message", "note"))]
        self._forget(claims, leases, events)
        return World(
            now_ms=now_ms,
            claims=tuple(seen),
            leases=tuple(contracts),
            secrets=secrets,
            clusters=fleet.clusters,
            ledger=ledger,
            leaks=(*leaks, *fleet.leaks),
            moving=_moving(claims, again),
            hidden=frozenset(former_uid(raw) for raw in broken),
            awaited=awaited,
            unknown=tuple(
                Unknown(shown(u.subject), shown(u.message)) for u in (*unknown, *fleet.unknown)
            ),
            unchecked=unchecked | fleet.unchecked,
            spec_changed=dict(found for raw in leases if (found := _spec_changed(raw)) is not None),
        )

    async def _items(self, kind: Kind) -> list[Json]:
        """Return all objects of a kind, each with the kind that a list leaves out."""
        path = kind.path()
        found = objects_of(await self._hub.get(path), path)
        return [{**item, "kind": kind.name} for item in found]

    def _parse(self, model: type[ApiModel], raw: Json) -> ApiModel | str:
        """Return an object as its model, or what is wrong with it."""
        key = _version(raw)
        if key not in self._parsed:
            try:
                self._parsed[key] = model.model_validate(raw)
            except (ValidationError, ValueError, TypeError) as error:
                self._parsed[key] = _fault(error)
        found: ApiModel | str = self._parsed[key]
        return found

    def _leaks(self, raw: Json, places: Iterable[str]) -> tuple[Leak, ...]:
        key = _version(raw)
        if key not in self._leaked:
            self._leaked[key] = tuple(leaks_in(_subject(raw), raw, places))
        return self._leaked[key]

    def _forget(self, *lists: list[Json]) -> None:
        """Keep what this reading saw."""
        known = {_version(raw) for items in lists for raw in items}
        self._parsed = {k: v for k, v in self._parsed.items() if k in known}
        self._leaked = {k: v for k, v in self._leaked.items() if k in known}

    async def _secrets(
        self, owners: list[Json], unknown: list[Unknown]
    ) -> tuple[SecretSeen, ...] | None:
        """Return the kubeconfigs; an adopted claim owns its by the API server's UID."""
        try:
            answer = await self._hub.list_metadata(
                "/api/v1/secrets", dict[str, Any], fieldSelector=f"type={KUBECONFIG_TYPE}"
            )
        except KubeError as error:
            unknown.append(
                Unknown("the hub's Secrets", f"{error}; you need the right to list them")
            )
            return None
        names = {_version(raw)[0]: former_uid(raw) for raw in owners}
        found = objects_of(answer, "/api/v1/secrets")
        return tuple(_secret(item["metadata"], names) for item in found)

    async def _events(self, unknown: list[Unknown]) -> list[Json]:
        try:
            answer = await self._hub.get("/api/v1/events", **_API_EVENTS)
        except KubeError as error:
            unknown.append(Unknown("the hub's Events", f"{error}; you need the right to list them"))
            return []
        return [{**item, "kind": "Event"} for item in objects_of(answer, "/api/v1/events")]

    async def _read_ledger(
        self, unknown: list[Unknown], unchecked: dict[str, str]
    ) -> LedgerSeen | None:
        if self._ledger is None:
            unchecked["ledger"] = "A1 to A4, and S11 in the ledger; give --database to have it read"
            return None
        try:
            entries = await self._ledger.read_entries()
            proof = await self._ledger.verify()
            hashes = {h for e in entries for h in (e.fact.price_hash, e.fact.tags_hash) if h}
            texts = await self._terms(sorted(hashes))
        except (LedgerUnavailable, OSError) as error:
            unknown.append(Unknown("the ledger", str(error)))
            return None
        return LedgerSeen(tuple(entries), proof.fault, frozenset(hashes - texts))

    async def _terms(self, hashes: list[str]) -> set[str]:
        """Return the hashes of which the ledger has the text; a database takes so many at once and no more."""
        found: set[str] = set()
        for start in range(0, len(hashes), _HASHES_AT_ONCE):
            asked = hashes[start : start + _HASHES_AT_ONCE]
            found |= set(await self._ledger.read_terms(asked)) if self._ledger else set()
        return found


def leaks_in(subject: str, raw: Json, places: Iterable[str]) -> Iterable[Leak]:
    """Yield what an object shows of credentials in these fields and in its annotations."""
    values = {place: raw.get(place) for place in places}
    values["annotations"] = (raw.get("metadata") or {}).get("annotations")
    for place, value in values.items():
        if value:
            for kind in find_leaks("\n".join(texts_in(value))):
                yield Leak(subject, place, kind)


def _moving(before: list[Json], after: list[Json]) -> frozenset[ClaimUID]:
    names = {_version(raw): former_uid(raw) for raw in (*before, *after)}
    changed = {_version(raw) for raw in before} ^ {_version(raw) for raw in after}
    return frozenset(ClaimUID(names[version]) for version in changed)


def _of(kind: Kind, items: Iterable[Json]) -> list[Json]:
    """Return the objects of a kind that nobody has to adopt first."""
    return [raw for raw in items if raw["kind"] == kind.name and not is_awaited(raw)]


def _waiting(count: int) -> Iterator[tuple[str, str]]:
    if count:
        yield (
            f"{count} restored claims and leases",
            "everything of them; they wait to be adopted, see `sublet adopt --map`",
        )


def _version(raw: Json) -> tuple[str, str]:
    meta = raw.get("metadata") or {}
    return str(meta.get("uid")), str(meta.get("resourceVersion"))


def _subject(raw: Json) -> str:
    meta = raw.get("metadata") or {}
    kind = str(raw.get("kind", "object")).removeprefix("Gpu").lower()
    name, namespace = meta.get("name"), meta.get("namespace")
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _secret(meta: Json, names: Mapping[str, str]) -> SecretSeen:
    owners = [o for o in meta.get("ownerReferences") or () if o.get("kind") == CLAIMS.name]
    uid = str(owners[0].get("uid")) if owners else ""
    owner = ClaimUID(names.get(uid, uid)) if owners else None
    return SecretSeen(str(meta.get("namespace")), str(meta.get("name")), owner)


def _spec_changed(raw: Json) -> tuple[LeaseUID, Millis] | None:
    """Return a lease and since when its contract is as it is now, as far as the server remembers who wrote what."""
    meta = raw.get("metadata") or {}
    uid = LeaseUID(former_uid(raw))
    try:
        if meta.get("generation") == 1:
            return uid, parse_instant(str(meta.get("creationTimestamp")))
        times = [
            parse_instant(str(entry.get("time")))
            for entry in meta.get("managedFields") or ()
            if not entry.get("subresource")
        ]
    except ValueError:
        return None
    return (uid, Millis(max(times) + _LAG_MS)) if times else None


def _fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return f"{field} isn't as this version of sublet knows it ({first['msg']}); nothing is concluded from it"
    return f"it isn't as this version of sublet knows it ({error}); nothing is concluded from it"
