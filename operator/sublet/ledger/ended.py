"""Which reservations are over by the ledger. Pure.

The hub says what a claim has, and the ledger follows; but a hub that was put back to an older state shows a claim bound
that was released since, and only the ledger knows.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sublet.api.ids import ClaimUID, LeaseUID
from sublet.ledger.entry import EntryKind, EntryType, Fact


def ended(facts: Iterable[Fact], reservations: Mapping[ClaimUID, int]) -> frozenset[ClaimUID]:
    """Return the claims, of these with their reservations' numbers, that were billed for that one or a later one and aren't any more."""
    running = defaultdict[ClaimUID, set[tuple[int, LeaseUID]]](set)
    last = dict[ClaimUID, int]()
    for fact in facts:
        if fact.kind is not EntryKind.BOUND:
            continue
        key = (fact.sequence, fact.lease_uid)
        if fact.type is EntryType.CLOSE:
            running[fact.claim_uid].discard(key)
        else:
            running[fact.claim_uid].add(key)
        last[fact.claim_uid] = max(fact.sequence, last.get(fact.claim_uid, 0))
    return frozenset(
        uid
        for uid, number in reservations.items()
        if last.get(uid, 0) >= number and not running[uid]
    )
