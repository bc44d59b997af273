"""A deleted claim whose object others hold back: released and billed as any other, and it says whom it waits for."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from sublet.api import claim_status
from sublet.api.claim_status import ready_of
from sublet.api.common import Status, is_true
from sublet.api.gpuclaim import ClaimStatus, GpuClaim, Release
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.pending import Pending, PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.binder.work import Works
from sublet.book.decisions import Take
from sublet.book.holdings import holds
from sublet.book.plan import plan
from sublet.hub.meter import facts_of
from sublet.ledger.port import LedgerUnavailable
from tests.builders.api import NOW, as_claim
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.fleet import inventory, nodes, view
from tests.builders.moves import leased, running

WEST = leased("west")
LEASE_UID = WEST[0].metadata.uid
STRANGER = "example.com/audit"
FOREGROUND = "foregroundDeletion"
DELETED = Millis(NOW + 60_000)
HOURS_LATER = Millis(NOW + 10**9)


class Keeping(Hub):
    """A hub that keeps a claim's object until its last finalizer is off."""

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        self.live = await super().write_status(claim, status)
        return self.live

    async def remove_finalizer(self, claim: GpuClaim) -> None:
        kept = tuple(f for f in claim.metadata.finalizers if f != RELEASE_FINALIZER)
        meta = claim.metadata.model_copy(update={"finalizers": kept})
        self.live = claim.model_copy(update={"metadata": meta}) if kept else None


def deleted(claim: GpuClaim, *others: str, ours: bool = True) -> GpuClaim:
    """Return a claim that was deleted, held back by these finalizers."""
    finalizers = (*((RELEASE_FINALIZER,) if ours else ()), *others)
    update = {"deletion_timestamp": DELETED, "finalizers": finalizers}
    return claim.model_copy(update={"metadata": claim.metadata.model_copy(update=update)})


def works(hub: Keeping) -> Works:
    tools = tools_of(hub, {LEASE_UID: WEST[0]}, {LEASE_UID: NotedApi("")})
    live = hub.live
    if live is not None:
        tools.cluster(LEASE_UID).api = NotedApi(live.metadata.uid)
    return Works(tools, hub.write_status)


def settled(claim: GpuClaim) -> GpuClaim | None:
    """Do what the claim asks for until it asks for nothing; returns what is left of it."""
    hub = Keeping(claim)
    engine = works(hub)
    for _ in range(5):
        work = engine.asked_for(hub.live) if hub.live is not None else None
        if work is None or hub.live is None:
            return hub.live
        asyncio.run(work(hub.live, lambda: None))
    raise AssertionError("it never comes to rest")


def releasing(*others: str, ours: bool = True) -> GpuClaim:
    each = deleted(running(WEST), *others, ours=ours)
    decided = Release(cause=ReleaseCause.DELETED, release_time=DELETED, sequence=1)
    return each.model_copy(update={"status": claim_status.releasing(each, decided, DELETED)})


def seen(claim: GpuClaim, now_ms: Millis) -> Any:
    return view([claim], [(WEST[0], inventory(WEST[0], nodes(WEST[0], 1)))], now_ms=now_ms)


@pytest.mark.parametrize("others", [(FOREGROUND,), (STRANGER,), (STRANGER, FOREGROUND)])
@pytest.mark.parametrize("ours", [True, False], ids=["ours is on", "ours was taken off"])
def test_a_bound_claim_is_released_at_its_deletion_whoever_holds_the_object(
    others: tuple[str, ...], ours: bool
):
    claim = deleted(running(WEST), *others, ours=ours)

    (taken,) = plan(seen(claim, HOURS_LATER)).decisions

    assert isinstance(taken, Take)
    assert (taken.cause, taken.release_ms) == (ReleaseCause.DELETED, DELETED)


@pytest.mark.parametrize("ours", [True, False], ids=["ours is on", "ours was taken off"])
def test_its_gpus_are_free_and_its_bill_ends_while_the_object_stays(ours: bool):
    left = settled(releasing(STRANGER, FOREGROUND, ours=ours))

    assert left is not None
    assert left.metadata.finalizers == (STRANGER, FOREGROUND)
    assert not holds(left)
    (ends,) = (f.at_ms for f in facts_of(left) if (f.kind, f.type) == ("bound", "close"))
    assert ends == DELETED


def test_it_says_that_it_waits_for_others_and_for_whom():
    left = settled(releasing(STRANGER, FOREGROUND))

    assert left is not None
    status, reason, message = ready_of(left)
    assert (status, reason) == (Status.TRUE, "Deleted")
    assert message.endswith(f"which are others': {STRANGER}, {FOREGROUND}")
    assert is_true(left.status.conditions, "Ended")


def test_it_is_neither_served_nor_billed_again():
    left = settled(releasing(STRANGER))
    assert left is not None
    before = facts_of(left)

    again = settled(left)

    assert again == left
    assert plan(seen(left, HOURS_LATER)).decisions == ()
    assert facts_of(left) == before


@pytest.mark.parametrize("ours", [True, False], ids=["ours is on", "ours never was"])
def test_a_claim_that_waited_says_so_too_and_waits_for_no_gpus_any_more(ours: bool):
    each = as_claim()
    reason = Pending(reason=PendingReason.WAITING_FOR_CAPACITY, message="none is free")
    each = each.model_copy(update={"status": claim_status.waiting(each, reason, NOW)})

    left = settled(deleted(each, STRANGER, ours=ours))

    assert left is not None
    assert STRANGER in ready_of(left)[2]
    assert left.status.pending is None
    assert not is_true(left.status.conditions, "Reconciling")
    assert plan(seen(left, HOURS_LATER)).decisions == ()


def test_of_many_finalizers_some_are_named():
    left = settled(releasing(*(f"example.com/{i}" for i in range(9))))

    assert left is not None
    assert ready_of(left)[2].endswith("example.com/0, example.com/1, example.com/2 and 6 more")


def test_a_claim_that_nobody_else_holds_back_is_gone():
    assert settled(releasing()) is None


@pytest.mark.parametrize("away", [False, True], ids=["ledger there", "ledger away once"])
def test_of_a_claim_that_was_released_no_token_is_kept_and_it_is_said_once(away: bool):
    claim = releasing()
    uid, hub = claim.metadata.uid, Keeping(claim)
    tools = tools_of(hub, {LEASE_UID: WEST[0]}, {LEASE_UID: NotedApi(uid)})
    said: list[str] = []
    tools.events.note = lambda _, reason, __: said.append(reason)
    tools.grants[uid, "west"] = object()
    tries = [away, False, False]

    async def settle(_: GpuClaim) -> None:
        if tries.pop(0):
            raise LedgerUnavailable("away")

    tools.meter.settle = settle
    engine = Works(tools, hub.write_status)

    for _ in range(3):
        if hub.live is not None and (work := engine.asked_for(hub.live)) is not None:
            with suppress(LedgerUnavailable):
                asyncio.run(work(hub.live, lambda: None))

    assert (hub.live, tools.grants, said) == (None, {}, ["Released"])
