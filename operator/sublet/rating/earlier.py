"""What the ledger said of leases up to an earlier line, out of books that went on since. Pure.

Nothing is folded anew: books know of every interval, level and text which line it is of.
"""

from dataclasses import replace

from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.ledger.entry import Entry, EntryKind
from sublet.rating.books import Books, Lined

_EVIDENCE = (EntryKind.BOUND, EntryKind.DOWNTIME, EntryKind.DISPUTED)


def contracts_at(books: Books, line: Entry) -> Books:
    """Return what was agreed for leases up to a line, and nothing else."""
    found = Books(books.texts)
    for entry in books.contract_lines:
        if entry.seq <= line.seq:
            found.take(entry)
    found.seq, found.head = line.seq, line.hash
    return found


def leases_at(books: Books, line: Entry) -> Books:
    """Return all that says what landlords are owed up to a line, and nothing of tenants."""
    found = contracts_at(books, line)
    for uid, levels in books.capacity.items():
        found.capacity[uid] = [each for each in levels if each.seq <= line.seq]
    found.closed = [
        each if each.last_seq <= line.seq else _lasting(each)
        for each in books.intervals(*_EVIDENCE)
        if each.first_seq <= line.seq
    ]
    return found


def said_since(books: Books, line: Entry) -> dict[LeaseUID, Millis]:
    """Return the earliest instant that lines after one speak of, by lease; what is agreed may be of any."""
    found: dict[LeaseUID, Millis] = {}

    def note(uid: LeaseUID, at_ms: Millis) -> None:
        found[uid] = min(at_ms, found.get(uid, at_ms))

    for entry in books.contract_lines:
        if entry.seq > line.seq:
            note(entry.fact.lease_uid, Millis(0))
    for uid, levels in books.capacity.items():
        for level in levels:
            if level.seq > line.seq:
                note(uid, level.at_ms)
    for interval, first_seq, last_seq in books.intervals(*_EVIDENCE):
        if first_seq > line.seq:
            note(interval.lease_uid, interval.start_ms)
        elif last_seq > line.seq and interval.end_ms is not None:
            note(interval.lease_uid, interval.end_ms)
    return found


def _lasting(lined: Lined) -> Lined:
    """Return an interval as it was before its end was known."""
    interval, first_seq, _ = lined
    return Lined(replace(interval, end_ms=None), first_seq, first_seq)
