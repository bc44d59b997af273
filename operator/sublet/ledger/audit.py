"""The audit trail's records: who said or decided what, of which object, from what to what, and why. Pure.

It stands beside the ledger and is chained as its lines are. A record's id is made of what happened, not of when it was reported, so that
writing it again changes nothing: the first writing stays. Made by `sublet.hub.audit`, kept by `sublet.store`.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sublet.api.times import Millis
from sublet.ledger.chain import Proof
from sublet.ledger.entry import GENESIS_HASH

OPERATOR = "sublet"
"""Who decided, where no person did."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One decision, or one person's word."""

    what: str
    """bind, release, preempt, move, leave; approve, lost, forceRelease, releaseOrphans, adopt, adjust."""
    who: str
    """The person as the object records it, empty if it doesn't; `sublet` for a decision of the book."""
    kind: str
    """Kind of the object."""
    subject_uid: str
    subject: str
    """Its name, with its namespace if it has one."""
    lease_uid: str
    """The lease that is concerned, if one is."""
    lease: str
    """What tenants call that lease."""
    key: str
    """Tells it from others of the same `what`, object and lease."""
    before: str
    after: str
    reason: str
    at_ms: Millis
    """When it happened by the object's own record; where that has none, when the operator first saw it."""

    @property
    def id(self) -> str:
        """Return the id: same happening, same id, however often it is reported."""
        parts = (self.what, self.subject_uid, self.lease_uid, self.key)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def content(self) -> str:
        """Return all that it says as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One record and its place in the trail."""

    seq: int
    record: AuditRecord
    previous_hash: str

    @property
    def hash(self) -> str:
        """Return the hash that the next line carries."""
        text = f"{self.previous_hash}\n{self.seq}\n{self.record.id}\n{self.record.content}"
        return hashlib.sha256(text.encode()).hexdigest()


def verify_audit(lines: Iterable[tuple[AuditLine, str, str]]) -> Proof:
    """Check the trail's lines, each with the id and the hash that stand beside it, in order of `seq` from 1."""
    head, count = GENESIS_HASH, 0
    for line, id_, hash_ in lines:
        if line.seq != count + 1:
            return Proof(count, head, f"audit line {count + 1} is missing (found {line.seq})")
        if line.previous_hash != head:
            said = f"audit line {line.seq} doesn't follow line {count}"
            return Proof(count, head, f"{said}: a line was changed, dropped or put in")
        if (line.record.id, line.hash) != (id_, hash_):
            return Proof(count, head, f"audit line {line.seq} was changed")
        head, count = hash_, count + 1
    return Proof(count, head, None)


def write_audit(line: AuditLine) -> dict[str, Any]:
    """Return a line as JSON."""
    return {"seq": line.seq, "previous_hash": line.previous_hash, **asdict(line.record)}


def read_audit(item: dict[str, Any]) -> AuditLine:
    """Return the line that JSON says; KeyError, TypeError or ValueError if it is none."""
    names = AuditRecord.__dataclass_fields__.keys() - {"at_ms"}
    record = AuditRecord(**{n: str(item[n]) for n in names}, at_ms=Millis(int(item["at_ms"])))
    return AuditLine(int(item["seq"]), record, str(item["previous_hash"]))
