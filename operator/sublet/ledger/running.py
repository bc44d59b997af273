"""What is billed still, and which reservations are over by the ledger. Pure.

The hub says what a claim has, and the ledger follows; but a hub that was put back to an older state shows a claim bound
that was released since, and only the ledger knows.
"""

from collections.abc import Iterable, Mapping

from sublet.api.ids import ClaimUID
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.interval import Key, key_of


def open_lines(facts: Iterable[Fact]) -> list[Fact]:
    """Return the lines, of those in ledger order, that begin something of which no line says the end."""
    begun: dict[Key, Fact] = {}
    for fact in facts:
        key = key_of(fact)
        if fact.type is EntryType.CLOSE:
            begun.pop(key, None)
        elif fact.type is EntryType.OPEN and fact.kind is not EntryKind.CANCELLED:
            begun[key] = fact
    return list(begun.values())


def over(facts: Iterable[Fact], reservations: Mapping[ClaimUID, int]) -> frozenset[ClaimUID]:
    """Return the claims, of these with their reservations' numbers, of which that one has ended, or a later one was billed."""
    billed = [f for f in facts if f.kind is EntryKind.BOUND]
    last: dict[ClaimUID, int] = {}
    for fact in billed:
        last[fact.claim_uid] = max(fact.sequence, last.get(fact.claim_uid, 0))
    running = {(f.claim_uid, f.sequence) for f in open_lines(billed)}
    return frozenset(
        uid
        for uid, number in reservations.items()
        if last.get(uid, 0) > number or (last.get(uid) == number and (uid, number) not in running)
    )
