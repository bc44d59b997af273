"""Proves a ledger: no gap, no fork, no changed line, every interval well formed. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from sublet.ledger.entry import GENESIS_HASH, Entry
from sublet.ledger.interval import BrokenLedger, intervals


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a check: how many lines were good, the last one's hash, and the first fault."""

    entries: int
    head: str
    fault: str | None


def verify(entries: Iterable[Entry], stored_ids: Iterable[str] | None = None) -> Proof:
    """Check lines in order of `seq` from 1; `stored_ids` are the ids as stored, if they are to be compared."""
    head, count = GENESIS_HASH, 0
    seen: set[str] = set()
    lines = list(entries)
    ids = list(stored_ids) if stored_ids is not None else [e.fact.id for e in lines]
    for entry, stored in zip(lines, ids, strict=True):
        fault = _fault(entry, count + 1, head, stored, seen)
        if fault is not None:
            return Proof(count, head, fault)
        seen.add(stored)
        head, count = entry.hash, count + 1
    try:
        for _ in intervals(e.fact for e in lines):
            pass
    except BrokenLedger as broken:
        return Proof(count, head, str(broken))
    return Proof(count, head, None)


def _fault(entry: Entry, seq: int, head: str, stored: str, seen: set[str]) -> str | None:
    if entry.seq != seq:
        return f"line {seq} is missing (found {entry.seq})"
    if entry.previous_hash != head:
        return f"line {seq} doesn't follow line {seq - 1}: a line was changed, dropped or put in"
    if entry.fact.id != stored:
        return f"line {seq} was changed: its id is not that of its content"
    return f"line {seq} repeats an earlier one" if stored in seen else None
