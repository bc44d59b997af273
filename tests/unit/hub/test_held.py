"""A restored claim that is deleted before anybody adopted it."""

import asyncio
from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import ReleaseCause
from sublet.binder.claims import Outrun
from sublet.book.decisions import Take
from sublet.book.plan import plan
from sublet.hub.held import Held, may_go
from tests.builders.api import NOW, as_claim, uid_of
from tests.builders.fleet import view
from tests.builders.moves import leased, running
from tests.builders.restored import Body, adopted, newborn, on_the_wire, parsed, restored
from tests.harness.fake_api import SteppedClock
from tests.unit.hub.test_meter import done

PENDING = restored(on_the_wire(as_claim()))
BOUND = restored(on_the_wire(running(leased("west"))))
ENDED = restored(on_the_wire(done()))
NEWBORN = newborn(PENDING)


def deleted(body: Body, **spec: Any) -> GpuClaim:
    meta = {"deletionTimestamp": "2026-11-22T10:00:00Z", "finalizers": [RELEASE_FINALIZER]}
    return parsed({**body, "metadata": body["metadata"] | meta, "spec": {**body["spec"], **spec}})


def word(uid: str) -> dict[str, Any]:
    return {"claimUID": uid, "by": "ann"}


@pytest.mark.parametrize("body", [PENDING, NEWBORN], ids=["held nothing", "without its status"])
def test_one_that_holds_nothing_goes_when_its_owner_deletes_it(body: Body):
    assert may_go(deleted(body))
    assert not may_go(parsed(body))


@pytest.mark.parametrize("body", [BOUND, ENDED], ids=["holds GPUs", "has lines for the ledger"])
def test_one_of_which_something_must_be_kept_waits_for_its_adoption(body: Body):
    assert not may_go(deleted(body))
    assert not may_go(deleted(body, forceRelease=word(uid_of("another"))))


def test_a_persons_word_lets_one_go_that_nobody_can_adopt():
    assert may_go(deleted(BOUND, forceRelease=word(uid_of("new"))))


def test_one_that_was_adopted_is_no_business_of_this():
    assert not may_go(deleted(adopted(PENDING)))


class Claims:
    """The hub's claims, one of which changes once before its finalizer is off."""

    def __init__(self, live: GpuClaim | None, *, outrun: bool = False) -> None:
        self.live, self.outrun = live, outrun
        self.freed: list[str] = []

    async def get(self, _: GpuClaim) -> GpuClaim | None:
        return self.live

    async def remove_finalizer(self, claim: GpuClaim) -> None:
        if self.outrun:
            self.outrun = False
            raise Outrun("changed meanwhile")
        self.freed.append(claim.metadata.own_uid)


async def tended(
    claims: Any, seen: GpuClaim, clock: SteppedClock | None = None, told: list[str] | None = None
) -> Held:
    told = [] if told is None else told
    held = Held(
        claims,
        lambda: [seen],
        clock or SteppedClock(),
        changed=lambda: told.append("changed"),
        doubted=lambda: told.append("doubted"),
    )
    held.tend()
    for _ in range(5):
        await asyncio.sleep(0)
    return held


async def test_it_is_looked_at_live_before_it_goes():
    seen, claims = deleted(PENDING), Claims(deleted(PENDING))
    await tended(claims, seen)
    assert claims.freed == [uid_of("new")]

    now_adopted = Claims(deleted(adopted(PENDING)))
    await tended(now_adopted, seen)
    assert now_adopted.freed == []


async def test_one_whose_deletion_no_watch_told_is_doubted_and_asked_about_in_no_loop():
    told = list[str]()
    await tended(Claims(None), deleted(PENDING), told=told)

    assert told == ["doubted"]


async def test_one_that_changed_meanwhile_is_tried_again_later():
    clock, seen = SteppedClock(), deleted(PENDING)
    claims = Claims(seen, outrun=True)
    held = await tended(claims, seen, clock)
    assert (claims.freed, held.due_ms) == ([], clock.now_ms() + 10_000)

    clock.set_back_seconds = 600
    assert held.due_ms == clock.now_ms() + 10_000
    clock.seconds += 10
    held.tend()
    await asyncio.sleep(0.01)
    assert claims.freed == [uid_of("new")]
    await held.close()


def test_one_that_is_adopted_after_its_deletion_is_released_and_billed_until_then():
    west = leased("west")
    claim = deleted(adopted(restored(on_the_wire(running(west)))))

    (taken,) = plan(view([claim], [west])).decisions
    assert isinstance(taken, Take)
    assert (taken.cause, taken.release_ms) == (ReleaseCause.DELETED, NOW)
