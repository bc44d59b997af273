"""One line of the ledger and the chain that joins the lines.

Instants come from recorded object state (`boundTime`, `releaseTime`), never from "now" at restart, and the id
is made of what the line says, so that writing the same line twice changes nothing. Each line carries the hash
of the one before it: a line can't be changed, dropped or inserted unseen.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from json.encoder import encode_basestring_ascii as quoted
from typing import Final

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis

GENESIS_HASH: Final = "0" * 64


class EntryKind(StrEnum):
    """What the GPUs were in from this line on."""

    BOUND = "bound"
    """Handed over to the tenant: billed."""
    RELEASING = "releasing"
    """Taken back, not yet free: held, not billed to the tenant."""
    CANCELLED = "cancelled"
    """Promised ahead and given up too late: not held, billed at a part of its price for the time given up."""
    DISPUTED = "disputed"
    """Handed over in a cluster that didn't answer: beside `bound`, which is billed; it is evidence, not possession."""
    DOWNTIME = "downtime"
    """Handed over, but known not to work: beside `bound`, which is billed; credits are made of it. The text under the price
    hash says why."""
    TERMS = "terms"
    """What an object said of money from this line on; the text stands under the price hash."""
    CAPACITY = "capacity"
    """How many GPUs of a lease could be used, until the next such line of it."""
    ADJUSTMENT = "adjustment"
    """An amount that a person charges or credits; the text under the price hash says why."""
    PERIOD = "period"
    """A billing period was closed; what was billed stands under the price hash."""


BILLED: Final = frozenset({EntryKind.BOUND, EntryKind.CANCELLED})
"""What tenants are charged for."""
HOLDING: Final = frozenset({EntryKind.BOUND, EntryKind.RELEASING})
"""What keeps GPUs from others while it lasts."""
BESIDE: Final = (EntryKind.DISPUTED, EntryKind.DOWNTIME)
"""What stands beside the bill."""
MARKS: Final = frozenset(
    {EntryKind.TERMS, EntryKind.CAPACITY, EntryKind.ADJUSTMENT, EntryKind.PERIOD}
)
"""What is said once, of an instant, and has no end; the subject's UID stands where the claim's does."""


class EntryType(StrEnum):
    """Whether an interval begins or ends, or something is said that has no end."""

    OPEN = "open"
    CLOSE = "close"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened, before it is a line: everything but its place in the chain."""

    claim_uid: ClaimUID
    sequence: int
    tenant_uid: TenantUID
    lease_uid: LeaseUID
    kind: EntryKind
    type: EntryType
    gpus: int
    at_ms: Millis
    price_hash: str
    tags_hash: str
    source_version: str
    """resourceVersion of the object that shows it; not part of the id or of equality of content."""

    @property
    def id(self) -> str:
        """Return the id: same happening, same id, however often it is reported."""
        parts = (
            self.claim_uid,
            str(self.sequence),
            self.lease_uid,
            self.kind,
            self.type,
            str(self.at_ms),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def content(self) -> str:
        """Return what must be the same when the id is: canonical JSON without `source_version`.

        Written by hand, since every line passes here: keys in order, strings as `json` writes them.
        """
        return (
            f'{{"at_ms":{self.at_ms:d},"claim_uid":{quoted(self.claim_uid)},"gpus":{self.gpus:d},'
            f'"kind":{quoted(self.kind)},"lease_uid":{quoted(self.lease_uid)},"price_hash":{quoted(self.price_hash)},'
            f'"sequence":{self.sequence:d},"tags_hash":{quoted(self.tags_hash)},'
            f'"tenant_uid":{quoted(self.tenant_uid)},"type":{quoted(self.type)}}}'
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger."""

    seq: int
    fact: Fact
    previous_hash: str

    @property
    def hash(self) -> str:
        """Return the hash that the next line carries."""
        fact = self.fact
        return line_hash(self.previous_hash, self.seq, fact.id, fact.content, fact.source_version)


def reading_from(last: Entry | None) -> int:
    """Return after which line whoever has read up to `last` reads on: `last` comes first again."""
    return last.seq - 1 if last is not None else 0


def read_on(page: list[Entry], last: Entry | None) -> list[Entry] | None:
    """Return what of a page that was read so is new; None if `last` isn't there any more: the ledger was put back, or is another."""
    if last is None:
        return page
    return page[1:] if page and page[0] == last else None


def line_hash(previous_hash: str, seq: int, fact_id: str, content: str, source_version: str) -> str:
    """Return the hash of a line from its parts, for who has them at hand."""
    text = f"{previous_hash}\n{seq}\n{fact_id}\n{content}\n{source_version}"
    return hashlib.sha256(text.encode()).hexdigest()
