"""Which claims the loop looks at besides planning."""

from typing import Any

import pytest

from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.relocation import Move, MoveCause
from sublet.api.times import Millis
from sublet.hub.state import Shelf
from sublet.hub.unrest import Unrest
from tests.builders.api import NOW, as_claim, claim
from tests.builders.moves import leased, running
from tests.unit.book.test_lost import on

LIFE_SECONDS = 3_600


def shelf(*claims: GpuClaim) -> Shelf[GpuClaim]:
    made = Shelf(GpuClaim, lambda: None)
    for each in claims:
        made.put(each)
    return made


def names(unrest: Unrest, now: int = NOW) -> list[str]:
    return sorted(c.metadata.name for c in unrest.claims(Millis(now)))


def newer(each: GpuClaim, **status: Any) -> GpuClaim:
    meta = each.metadata.model_copy(
        update={"resource_version": str(int(each.metadata.resource_version) + 1)}
    )
    found = each.status.model_copy(update=status)
    return each.model_copy(update={"metadata": meta, "status": found})


def test_all_claims_are_looked_at_once_and_then_none():
    unrest = Unrest(shelf(as_claim(claim("a")), as_claim(claim("b"))), LIFE_SECONDS)
    assert names(unrest) == ["a", "b"]
    unrest.settle(lambda _: True)
    assert names(unrest) == []


def test_a_claim_is_looked_at_again_when_it_changes():
    first = as_claim(claim("a"))
    claims = shelf(first, as_claim(claim("b")))
    unrest = Unrest(claims, LIFE_SECONDS)
    unrest.claims(NOW)
    unrest.settle(lambda _: True)
    claims.put(newer(first))
    assert names(unrest) == ["a"]


def test_a_claim_at_which_something_is_left_to_do_is_looked_at_again():
    unrest = Unrest(shelf(as_claim(claim("a")), as_claim(claim("b"))), LIFE_SECONDS)
    unrest.claims(NOW)
    unrest.settle(lambda each: each.metadata.name == "a")
    assert names(unrest) == ["b"]


def test_a_claim_on_which_work_ended_is_looked_at():
    first = as_claim(claim("a"))
    unrest = Unrest(shelf(first), LIFE_SECONDS)
    unrest.claims(NOW)
    unrest.settle(lambda _: True)
    unrest.look_at(first.metadata.uid)
    assert names(unrest) == ["a"]


def test_a_claim_whose_tokens_are_due_is_looked_at():
    clusters = (ClusterAccess(alias="west", namespace="x", expiration_time=NOW),)
    renewal = Millis(NOW + 1_000)
    access = Access(secret_name="gpus", clusters=clusters, renewal_time=renewal)
    unrest = Unrest(shelf(newer(as_claim(), access=access)), LIFE_SECONDS)
    unrest.claims(NOW)
    unrest.settle(lambda _: True)
    assert unrest.next_renewal_ms() == renewal
    assert names(unrest, renewal - 1) == []
    assert names(unrest, renewal) == ["train"]


def test_tokens_that_ended_while_nobody_could_renew_them_are_due_at_once():
    ended = (ClusterAccess(alias="west", namespace="x", expiration_time=Millis(NOW - 86_400_000)),)
    access = Access(secret_name="gpus", clusters=ended, renewal_time=Millis(NOW - 90_000_000))
    unrest = Unrest(shelf(newer(as_claim(), access=access)), LIFE_SECONDS)

    assert names(unrest) == ["train"]
    unrest.settle(lambda _: True)
    assert names(unrest) == ["train"]  # until they are renewed


def test_a_claim_is_looked_at_when_a_lease_that_it_is_on_its_way_to_is_lost():
    west, east = leased("west"), leased("east")
    busy = running(west)
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=NOW,
        placements=(on(east),),
        ready_time=NOW,
    )
    claims = shelf(newer(busy, move=move, access=None), as_claim(claim("other")))
    unrest = Unrest(claims, LIFE_SECONDS)
    unrest.claims(NOW)
    unrest.settle(lambda _: True)

    unrest.note_lost(frozenset({west[0].metadata.uid}))
    assert names(unrest) == []
    unrest.note_lost(frozenset({east[0].metadata.uid}))
    assert names(unrest) == ["train"]
    unrest.settle(lambda _: True)
    unrest.note_lost(frozenset({east[0].metadata.uid}))
    assert names(unrest) == []


@pytest.mark.parametrize("ahead_ms", [24 * 3_600_000, 31 * 24 * 3_600_000])
def test_tokens_that_were_renewed_by_a_clock_that_was_ahead_are_due_when_it_is_right(ahead_ms: int):
    clusters = (ClusterAccess(alias="west", namespace="x", expiration_time=Millis(NOW + 10**6)),)
    renewal = Millis(NOW + ahead_ms)
    access = Access(secret_name="gpus", clusters=clusters, renewal_time=renewal)
    unrest = Unrest(shelf(newer(as_claim(), access=access)), LIFE_SECONDS)
    assert names(unrest, renewal - 60_000) == ["train"]
    unrest.settle(lambda _: True)
    assert names(unrest, renewal - 60_000) == []
    assert names(unrest) == ["train"]


def test_a_claim_that_is_gone_is_forgotten():
    first = as_claim(claim("a"))
    claims = shelf(first)
    unrest = Unrest(claims, LIFE_SECONDS)
    claims.drop(first.metadata.uid)
    assert names(unrest) == []
    assert unrest.let_go() == [first.metadata.uid]
    assert unrest.let_go() == []
    assert unrest.next_renewal_ms() is None


def test_of_claims_that_come_and_go_while_another_replica_leads_nothing_is_kept():
    claims = shelf()
    unrest = Unrest(claims, LIFE_SECONDS)
    for number in range(20):
        each = as_claim(claim(f"c{number}"))
        claims.put(each)
        claims.drop(each.metadata.uid)
        unrest.let_go()
    assert (unrest._changed, unrest._open, unrest._renewals) == (set(), set(), {})
