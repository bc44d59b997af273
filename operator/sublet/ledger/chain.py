"""Proves a ledger: no gap, no fork, no changed line, every interval well formed, every text there. Pure.

Line by line, so that a ledger of any length is proven in little memory: what is kept is a number for each line's id, and what is open.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from sublet.ledger.entry import GENESIS_HASH, Entry
from sublet.ledger.interval import BrokenLedger, Fold
from sublet.ledger.terms import content_hash

_ID_DIGITS = 30
"""Hex digits of an id that are kept: 120 bits, which no two different ids share."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a check: how many lines were good, the last one's hash, and the first fault."""

    entries: int
    head: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A line as a store has it: with the id and the hash that stand beside it, None where none does."""

    entry: Entry
    id: str | None = None
    hash: str | None = None


TextFault = Callable[[str], str | None]
"""hash -> what is wrong with its text, None if it is there and has that hash"""


def verify(entries: Iterable[Entry], stored_ids: Iterable[str] | None = None) -> Proof:
    """Check lines in order of `seq` from 1; `stored_ids` are the ids as stored, if they are to be compared."""
    if stored_ids is None:
        return verify_lines(Stored(e) for e in entries)
    return verify_lines(Stored(e, i) for e, i in zip(entries, stored_ids, strict=True))


def verify_lines(lines: Iterable[Stored], text_fault: TextFault = lambda _: None) -> Proof:
    """Check lines in order of `seq` from 1, one after the other; the fault names the first bad line.

    What gives the lines may raise BrokenLedger where one is none: that is a fault too.
    """
    proof = Proof(0, GENESIS_HASH, None)
    try:
        for _, so_far in walk(lines, text_fault):
            proof = so_far
    except BrokenLedger as broken:
        return replace(proof, fault=str(broken))
    return proof


def walk(
    lines: Iterable[Stored], text_fault: TextFault = lambda _: None
) -> Iterator[tuple[Entry, Proof]]:
    """Yield each line with what is proven so far; the first that is bad comes with the fault, and is the last."""
    head, count = GENESIS_HASH, 0
    seen: set[int] = set()
    fold = Fold()
    for line in lines:
        entry = line.entry
        fact_id, hash_ = entry.fact.id, entry.hash
        number = int(fact_id[:_ID_DIGITS], 16)
        fault = _fault(line, count + 1, head, fact_id, hash_)
        if fault is None and number in seen:
            fault = f"line {entry.seq} repeats an earlier one"
        if fault is None:
            fault = _meaning_fault(entry, fold, text_fault)
        if fault is not None:
            yield entry, Proof(count, head, fault)
            return
        seen.add(number)
        head, count = hash_, count + 1
        yield entry, Proof(count, head, None)


def texts_fault(texts: Iterable[tuple[str, str]]) -> TextFault:
    """Return what judges hashes by the (hash, text) that a store has."""
    good: set[str] = set()
    bad: set[str] = set()
    for hash_, text in texts:
        (good if content_hash(text) == hash_ else bad).add(hash_)

    def fault(hash_: str) -> str | None:
        if hash_ in good:
            return None
        if hash_ in bad:
            return f"the text of hash {hash_} was changed"
        return f"there is no text of hash {hash_}"

    return fault


def _fault(line: Stored, seq: int, head: str, fact_id: str, hash_: str) -> str | None:
    if line.entry.seq != seq:
        return f"line {seq} is missing (found {line.entry.seq})"
    if line.entry.previous_hash != head:
        return f"line {seq} doesn't follow line {seq - 1}: a line was changed, dropped or put in"
    if line.id is not None and line.id != fact_id:
        return f"line {seq} was changed: its id is not that of its content"
    if line.hash is not None and line.hash != hash_:
        return f"line {seq} was changed: its hash is not that of its content"
    return None


def _meaning_fault(entry: Entry, fold: Fold, text_fault: TextFault) -> str | None:
    try:
        fold.take(entry.fact)
    except BrokenLedger as broken:
        return f"line {entry.seq}: {broken}"
    for hash_ in (entry.fact.price_hash, entry.fact.tags_hash):
        # a mark may say all that it says in its fields
        if hash_ and (fault := text_fault(hash_)) is not None:
            return f"line {entry.seq}: {fault}"
    return None
