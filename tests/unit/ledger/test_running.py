"""Which reservations are over by the ledger: what a hub that was put back to an older state doesn't know."""

from dataclasses import replace

import pytest

from sublet.api.ids import ClaimUID, LeaseUID
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.running import over
from tests.builders.lines import fact

UID = ClaimUID("c")
OPEN = fact(UID)
CLOSE = fact(UID, type_=EntryType.CLOSE)


def again(line: Fact) -> Fact:
    """Return the line of the claim's next reservation."""
    return replace(line, sequence=2)


def elsewhere(line: Fact) -> Fact:
    """Return the line of another lease in which the claim has nodes, too."""
    return replace(line, lease_uid=LeaseUID("east"))


@pytest.mark.parametrize(
    ("facts", "number", "is_over"),
    [
        ([], 1, False),
        ([OPEN], 1, False),
        ([OPEN, CLOSE], 1, True),
        ([OPEN, CLOSE], 2, False),  # the line of the next reservation isn't written yet
        ([OPEN, CLOSE, again(OPEN)], 1, True),  # it came to other nodes, or was bound again
        ([OPEN, CLOSE, again(OPEN)], 2, False),
        ([OPEN, CLOSE, again(OPEN), again(CLOSE)], 1, True),
        ([OPEN, CLOSE, again(OPEN), again(CLOSE)], 2, True),
        ([OPEN, elsewhere(OPEN), CLOSE], 1, False),
        ([OPEN, replace(CLOSE, kind=EntryKind.RELEASING)], 1, False),
    ],
)
def test_a_reservation_is_over_once_it_has_ended_or_another_was_billed_after_it(
    facts: list[Fact], number: int, is_over: bool
):
    assert over(facts, {UID: number}) == ({UID} if is_over else set())


def test_claims_are_told_apart():
    other = ClaimUID("d")

    assert over([OPEN, fact(other), CLOSE], {UID: 1, other: 1}) == {UID}
