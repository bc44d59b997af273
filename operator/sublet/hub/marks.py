"""What leases, classes and tenants say of money, and how many GPUs of a lease could be used: marks of the ledger.

Looked at in each pass and written by the bookkeeper, apart from planning; a claim's own lines go with the marks that they
need, in one append. What waits while the store is away is kept in its order. What the ledger has of an object is read
before the first mark of it is written, so that a restart, or a newer version of this program, says nothing twice. What a lease
says of money holds from when it was seen to say so, the first time from its creation: rating changes nothing before. A hub
whose etcd was restored goes back, and the ledger doesn't: what such a hub says otherwise is written after all that is there.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import structlog

from sublet.api.common import ObjectMeta
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.book.lost import meter_ends
from sublet.clock import Clock
from sublet.hub.rewound import agree, is_later, made_later, made_next
from sublet.hub.state import HubState, Shelf
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.port import LedgerConflict
from sublet.ledger.texts.base import Text
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.offer import ClassTerms
from sublet.ledger.texts.tenant import TenantTerms

MOST_WAITING: Final = 10_000
"""Marks of one object; of more levels of a lease than that, the oldest are lost, and the log says so."""

Object = GpuLease | GpuClass | GpuTenant
Batch = tuple[list[Fact], dict[str, str]]
"""Lines, and the texts of their hashes"""


class Ledger(Protocol):
    """What is asked of the ledger."""

    async def append(self, facts: Iterable[Fact], terms: Mapping[str, str]) -> int:
        """Append facts and the texts of their hashes; return how many were new."""

    async def facts_of(self, claim_uids: Sequence[str]) -> list[Fact]:
        """Return all facts of some subjects in ledger order."""

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the texts behind hashes: hash -> text."""


@dataclass(slots=True)
class _Subject:
    """One object: what was said of it last, written or waiting."""

    created_ms: int = 0
    version: str = ""
    """resourceVersion that was looked at last."""
    generation: int = -1
    terms: str = ""
    """Hash of its text."""
    gpus: int | None = None
    is_known: bool = False
    """What the ledger has of it was read."""
    numbered: Fact | None = None
    """Its terms with the highest number, written or, once it is known, waiting."""
    level: Fact | None = None
    """The level that holds last, as `numbered`."""

    waiting: dict[str, tuple[Fact, str]] = field(default_factory=dict)
    """id -> mark and its text, in order"""

    def has_reached(self, terms: Fact) -> bool:
        """Say whether the ledger has terms of that generation, or of a later one."""
        return self.numbered is not None and terms.sequence <= self.numbered.sequence


class Marks:
    """Brings what objects say of money into the ledger."""

    def __init__(
        self, ledger: Ledger, state: HubState, clock: Clock, is_read: Callable[[LeaseUID], bool]
    ) -> None:
        """`is_read` says whether a lease's nodes were read since we started, and can be."""
        self._ledger = ledger
        self._clock = clock
        self._is_read = is_read
        self._leases = state.leases
        self._shelves: tuple[Shelf[Any], ...] = (state.leases, state.classes, state.tenants)
        self._learning = asyncio.Lock()
        self._subjects: dict[str, _Subject] = {}  # UID -> what was said

    def look(self) -> bool:
        """Take note of what objects say now that they didn't before; return whether anything waits to be written."""
        objects: list[Object] = [each for shelf in self._shelves for each in shelf.all()]
        for each in objects:
            self._look_at(each)
        there = {each.metadata.uid for each in objects}
        for uid in [u for u, s in self._subjects.items() if u not in there and not s.waiting]:
            del self._subjects[uid]
        return any(s.waiting for s in self._subjects.values())

    async def write(self) -> None:
        """Append everything that waits; raises LedgerUnavailable and LedgerConflict."""
        facts, texts = await self.waiting(list(self._subjects))
        if not facts:
            return
        try:
            await self._ledger.append(facts, texts)
        except LedgerConflict:
            for uid in {f.claim_uid for f in facts} & self._subjects.keys():
                self._subjects[uid].is_known = False  # another operator wrote meanwhile: read again
            raise
        self.written(facts)

    async def waiting(self, uids: Collection[str]) -> Batch:
        """Return the marks of some objects that aren't known to be written; raises LedgerUnavailable."""
        found = {uid: s for uid in uids if (s := self._subjects.get(uid)) is not None and s.waiting}
        async with self._learning:  # many claims may need the same
            await self._learn({uid: s for uid, s in found.items() if not s.is_known})
        marks = [mark for s in found.values() for mark in s.waiting.values()]
        return [fact for fact, _ in marks], {f.price_hash: text for f, text in marks if text}

    async def needed_by(self, claim: GpuClaim) -> Batch:
        """Return the marks that must be written with a claim's lines, or were: of its leases, its class and its tenant."""
        held, status = claim.status.allocation, claim.status
        if held is None:
            return [], {}
        uids = {held.tenant_uid, held.class_uid, *held.lease_uids}
        uids |= {x.lease_uid for left in status.leaving for x in left.metered}
        uids |= {x.lease_uid for left in status.leaving for x in left.placements}
        uids |= {x.lease_uid for x in held.given_up}
        for uid in uids:
            found = (shelf.get(uid) for shelf in self._shelves)
            if (each := next((x for x in found if x is not None), None)) is not None:
                self._look_at(each)
        return await self.waiting(sorted(uids))

    def lost(self) -> dict[str, Millis]:
        """Return the leases that are lost, by UID, and until when GPUs of each are known to have worked."""
        return meter_ends(self._leases.all())

    def written(self, facts: Iterable[Fact]) -> None:
        """Take note that marks are in the ledger."""
        for fact in facts:
            if (subject := self._subjects.get(fact.claim_uid)) is not None:
                subject.waiting.pop(fact.id, None)

    async def _learn(self, subjects: Mapping[str, _Subject]) -> None:
        """Read what the ledger has of these objects, and drop what it says already."""
        if not subjects:
            return
        facts = await self._ledger.facts_of(sorted(subjects))
        for uid, subject in subjects.items():
            mine = [f for f in facts if f.claim_uid == uid]
            terms = [f for f in mine if f.kind is EntryKind.TERMS]
            levels = [f for f in mine if f.kind is EntryKind.CAPACITY]
            subject.numbered = max(terms, key=lambda f: f.sequence, default=None)
            subject.level = max(levels, key=lambda f: (f.at_ms, f.sequence), default=None)
            said = terms[-1].price_hash if terms else ""
            text = await self._text_before(subject, said)
            waiting, subject.waiting, subject.is_known = subject.waiting, {}, True
            for fact, now in waiting.values():
                if fact.kind is EntryKind.CAPACITY:
                    self._say(subject, fact, now)
                elif fact.price_hash != said and not self._is_upgrade(subject, fact, text, now):
                    self._say(subject, fact, now)
                    said, text = fact.price_hash, now

    async def _text_before(self, subject: _Subject, said: str) -> str:
        """Return the newest text that the ledger has of an object, empty unless something that waits contradicts it."""
        waiting = [f for f, _ in subject.waiting.values() if f.kind is EntryKind.TERMS]
        if any(f.price_hash != said and subject.has_reached(f) for f in waiting):
            return (await self._ledger.read_terms([said])).get(said, "")
        return ""

    @staticmethod
    def _is_upgrade(subject: _Subject, fact: Fact, before: str, now: str) -> bool:
        """Say whether terms of a generation that the ledger has, or is beyond, differ by the program's version alone.

        Of one generation there is one text: that of the version of this program that wrote it.
        """
        if not subject.has_reached(fact):
            return False
        if not before or agree(before, now):
            return True
        structlog.get_logger().warning(
            "terms of a hub that went back are written after what the ledger has of it",
            error=f"{fact.claim_uid} has another text of generation {fact.sequence}",
        )
        return False

    def _look_at(self, each: Object) -> None:
        meta = each.metadata
        subject = self._subjects.setdefault(meta.uid, _Subject())
        if subject.version == meta.resource_version:
            return
        subject.version = meta.resource_version
        subject.created_ms = meta.creation_timestamp or 0
        if subject.generation != meta.generation:
            subject.generation = meta.generation
            text = _text_of(each)
            if text.hash != subject.terms:
                subject.terms = text.hash
                self._say(subject, _terms(each, text.hash, self._clock.now_ms()), text.text)
        level = _capacity(each) if isinstance(each, GpuLease) else None
        if level is not None and level.gpus != subject.gpus:
            subject.gpus = level.gpus
            self._say(subject, level, "")

    def _say(self, subject: _Subject, fact: Fact, text: str) -> None:
        """Let a mark wait to be written, as the next of its object once what the ledger has of that is known."""
        if not subject.is_known:
            self._wait(subject, fact, text)
        elif fact.kind is EntryKind.CAPACITY:
            self._say_level(subject, fact)
        else:
            if subject.numbered is None:
                fact = replace(fact, at_ms=Millis(subject.created_ms))
            elif subject.has_reached(fact):
                fact = made_next(fact, subject.numbered)
            subject.numbered = fact
            self._wait(subject, fact, text)

    def _say_level(self, subject: _Subject, level: Fact) -> None:
        last = subject.level
        if last is not None and level.gpus == last.gpus:
            return
        if last is not None and not is_later(level, last):
            if not self._is_read(level.lease_uid):
                # nobody has seen it yet, and the last that was seen holds: looked at again
                subject.version, subject.gpus = "", None
                return
            level = made_later(level, last, self._clock.now_ms())
        subject.level = level
        self._wait(subject, level, "")

    def _wait(self, subject: _Subject, fact: Fact, text: str) -> None:
        subject.waiting[fact.id] = (fact, text)
        if len(subject.waiting) > MOST_WAITING:
            levels = (f for f, _ in subject.waiting.values() if f.kind is EntryKind.CAPACITY)
            lost = next(levels, fact)
            del subject.waiting[lost.id]
            structlog.get_logger().error(
                "mark lost: the ledger is away too long", mark=lost.content
            )


def _text_of(each: Object) -> Text:
    if isinstance(each, GpuLease):
        return LeaseTerms.of(each)
    return ClassTerms.of(each) if isinstance(each, GpuClass) else TenantTerms.of(each)


def _terms(each: Object, hash_: str, seen_ms: Millis) -> Fact:
    meta = each.metadata
    created = meta.creation_timestamp or 0
    return mark(
        meta,
        EntryKind.TERMS,
        # a clock that is behind takes nothing back that was said first
        Millis(max(seen_ms, created + 1) if isinstance(each, GpuLease) else created),
        sequence=meta.generation,
        tenant_uid=meta.uid if isinstance(each, GpuTenant) else "",
        lease_uid=meta.uid if isinstance(each, GpuLease) else "",
        price_hash=hash_,
    )


def _capacity(lease: GpuLease) -> Fact | None:
    """Return the mark of how many GPUs of a lease can be used, None if they were never counted."""
    counts, meta = lease.status.inventory, lease.metadata
    if counts is None or counts.changed_time is None:
        return None
    return mark(
        meta,
        EntryKind.CAPACITY,
        counts.changed_time,
        sequence=counts.generation,
        lease_uid=meta.uid,
        gpus=counts.healthy,
    )


def mark(
    meta: ObjectMeta,
    kind: EntryKind,
    at_ms: Millis,
    *,
    sequence: int,
    tenant_uid: str = "",
    lease_uid: str = "",
    gpus: int = 0,
    price_hash: str = "",
) -> Fact:
    """Return a line that is said once, of an object."""
    return Fact(
        claim_uid=ClaimUID(meta.uid),
        sequence=sequence,
        tenant_uid=TenantUID(tenant_uid),
        lease_uid=LeaseUID(lease_uid),
        kind=kind,
        type=EntryType.SET,
        gpus=gpus,
        at_ms=at_ms,
        price_hash=price_hash,
        tags_hash="",
        source_version=meta.resource_version,
    )
