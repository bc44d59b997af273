"""Whose an orphan is: absence alone frees nothing, and a hub older than the ledger frees nothing at all."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID, TenantUID
from sublet.api.last_word import LostStatus
from sublet.api.times import Millis
from sublet.drift.orphans import (
    Entry,
    Fate,
    Orphan,
    Witness,
    ended_ms,
    fate_of,
    too_many,
    words,
)
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.running import open_lines
from tests.builders.api import as_lease, uid_of

GONE = ClaimUID(uid_of("gone"))
ORPHAN = Orphan(
    GONE,
    (Entry(LeaseUID("west"), NodeName("n0"), NodeUID("n0-uid"), 8),),
    (f"sublet-{GONE}-1",),
)

BACKUP = Millis(10_000_000)


def line(
    type_: EntryType = EntryType.OPEN, *, uid: ClaimUID = GONE, version: str = "100", at_ms: int = 5
) -> Fact:
    return Fact(
        uid, 1, TenantUID("t"), LeaseUID("west"), EntryKind.BOUND, type_, 8, Millis(at_ms), "p", "g", version
    )  # fmt: skip


def witness(
    *facts: Fact, claims: dict[ClaimUID, GpuClaim | None] | None = None, **fields: Any
) -> Witness:
    """Return a look at a hub at version 200 and at a ledger with these lines."""
    by_claim: dict[ClaimUID, list[Fact]] = {}
    for fact in facts:
        by_claim.setdefault(fact.claim_uid, []).append(fact)
    seen = Witness(200, claims or {}, by_claim, 150)
    return replace(seen, **fields)


def judged(seen: Witness, *, before: bool = True, released: bool = False) -> Fate:
    return fate_of(ORPHAN, seen, seen_before=before, released=released)


def test_nothing_is_done_at_first_sight():
    assert judged(witness(line()), before=False) is Fate.WAITS


def test_a_claim_that_the_ledger_has_and_the_hub_hasnt_is_taken_back():
    assert judged(witness(line())) is Fate.TAKEN_BACK


def test_a_claim_that_the_ledger_saw_end_is_taken_back():
    assert judged(witness(line(), line(EntryType.CLOSE, at_ms=9))) is Fate.TAKEN_BACK


def test_nothing_is_taken_back_while_the_hub_is_older_than_the_ledger():
    assert judged(witness(line(), newest_version=201)) is Fate.HUB_REWOUND


def test_a_hub_that_is_older_is_told_at_first_sight_and_its_later_writes_change_nothing():
    assert judged(witness(line(), newest_version=201), before=False) is Fate.HUB_REWOUND

    caught_up = fate_of(
        ORPHAN, witness(line()), seen_before=True, released=False, lasting=Fate.HUB_REWOUND
    )
    assert caught_up is Fate.HUB_REWOUND


def test_a_line_of_the_claims_own_counts_among_the_newest_however_far_back_it_is():
    assert judged(witness(line(version="999999"))) is Fate.HUB_REWOUND


def test_on_a_restored_hub_a_claim_that_was_bound_after_the_backup_stays_held():
    bound = line(at_ms=BACKUP + 1)

    assert judged(witness(bound, backup_ms=BACKUP)) is Fate.HUB_REWOUND
    assert judged(witness(bound, backup_ms=BACKUP), before=False) is Fate.HUB_REWOUND


def test_a_clock_that_was_ahead_when_the_backup_was_taken_costs_no_claim():
    assert judged(witness(line(at_ms=BACKUP - 60_000), backup_ms=BACKUP)) is Fate.HUB_REWOUND


def test_a_claim_that_ended_after_the_backup_stays_held_too_since_another_binding_may_have_no_line():
    facts = (line(), line(EntryType.CLOSE, at_ms=BACKUP + 1))

    assert judged(witness(*facts, backup_ms=BACKUP)) is Fate.HUB_REWOUND


def test_a_claim_of_which_all_was_said_long_before_the_backup_is_taken_back_on_a_restored_hub_too():
    assert judged(witness(line(), backup_ms=BACKUP)) is Fate.TAKEN_BACK


def test_a_persons_word_counts_on_a_restored_hub_too():
    seen = witness(line(at_ms=BACKUP + 1), backup_ms=BACKUP)

    assert judged(seen, released=True) is Fate.TAKEN_BACK


def test_a_claim_that_nobody_knows_waits_for_a_person():
    assert judged(witness()) is Fate.UNKNOWN
    assert judged(witness(), released=True) is Fate.TAKEN_BACK


def test_a_persons_word_counts_on_a_rewound_hub_too_but_not_at_first_sight():
    rewound = witness(line(), newest_version=201)

    assert judged(rewound, released=True) is Fate.TAKEN_BACK
    assert judged(rewound, before=False, released=True) is Fate.WAITS


@pytest.mark.parametrize(
    ("vanished", "known", "held"), [(1, 0, False), (2, 0, True), (3, 7, False), (4, 6, True)]
)
def test_many_that_vanish_at_once_are_no_accident_of_a_few(vanished: int, known: int, held: bool):
    uids = [ClaimUID(uid_of(f"gone-{i}")) for i in range(vanished)]
    fates = dict.fromkeys(uids, Fate.TAKEN_BACK)
    seen = witness(*(line(uid=uid) for uid in uids))

    assert bool(too_many(fates, seen, known)) is held


def test_those_with_lines_on_other_leases_are_counted_among_the_many():
    uids = [ClaimUID(uid_of(f"beyond-{i}")) for i in range(2)]
    facts = [line(uid=uid) for uid in uids]

    assert too_many(dict.fromkeys(uids, Fate.ELSEWHERE), witness(*facts), 0) == uids


def test_those_that_the_ledger_saw_end_are_not_counted_among_the_many():
    uids = [ClaimUID(uid_of(f"over-{i}")) for i in range(5)]
    facts = [f for u in uids for f in (line(uid=u), line(EntryType.CLOSE, uid=u, at_ms=9))]

    assert not too_many(dict.fromkeys(uids, Fate.TAKEN_BACK), witness(*facts), 0)


def test_only_what_has_no_end_is_open():
    assert open_lines([line()]) == [line()]
    assert open_lines([line(), line(EntryType.CLOSE, at_ms=9)]) == []


def test_a_lease_says_the_worst_and_what_a_person_can_do():
    reason, message = words(
        {Fate.WAITS: [ORPHAN], Fate.HUB_REWOUND: [replace(ORPHAN, claim_uid=ClaimUID("x"))]}
    )

    assert reason == "HubRewound"
    assert message.startswith("16 GPUs are held")
    assert "spec.releaseOrphans" in message
    assert " by the ledger alone" not in message
    assert words({}) == ("", "every namespace and every entry is of a claim that has it")


def test_a_lease_says_what_the_ledger_alone_has_there():
    beside = replace(line(), kind=EntryKind.DOWNTIME, gpus=2)
    alone = Orphan(GONE, lines=(line(), beside))

    reason, message = words({Fate.TOO_MANY: [alone]})

    assert reason == "TooMany"
    assert message.startswith("8 GPUs are held by the ledger alone for claims that don't have them")


def test_what_the_ledger_has_on_leases_that_werent_looked_at_too_waits_for_a_persons_word():
    beyond = Orphan(GONE, lines=(line(),), is_elsewhere=True)

    fates = [
        fate_of(beyond, witness(line()), seen_before=True, released=said) for said in (False, True)
    ]

    assert fates == [Fate.ELSEWHERE, Fate.TAKEN_BACK]
    _, message = words({Fate.ELSEWHERE: [beyond]})
    assert message.endswith("if the claims are really gone, name them in spec.releaseOrphans")


def test_of_a_lost_lease_a_claim_is_billed_until_its_meters_stopped():
    at = LostStatus(by="ann", time=Millis(50), meter_time=Millis(50))
    west = as_lease()
    west = west.model_copy(update={"status": west.status.model_copy(update={"lost": at})})
    there = replace(line(), lease_uid=LeaseUID(west.metadata.uid))

    assert ended_ms(GONE, Millis(90), witness(there), [west]) == 50
    assert ended_ms(GONE, Millis(40), witness(there), [west]) == 40
    assert ended_ms(GONE, Millis(90), witness(line()), [west]) == 90
