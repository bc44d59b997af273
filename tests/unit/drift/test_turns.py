"""How many claims are put right at once, and who comes next."""

import asyncio
from types import SimpleNamespace

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.binder.binder import Binder
from sublet.binder.work import Work
from sublet.drift.turns import AT_ONCE, Turns
from tests.builders.api import as_claim, uid_of
from tests.builders.clusters import Hub, tools_of
from tests.harness.fake_api import eventually

WEST, EAST = ClusterUID(uid_of("west")), ClusterUID(uid_of("east"))


def claims_of(cluster: str, count: int) -> list[GpuClaim]:
    return [as_claim(uid=uid_of(f"{cluster} {i}")) for i in range(count)]


class Engine:
    """The claims of the hub, and an engine that does whatever is begun."""

    def __init__(self, *claims: GpuClaim) -> None:
        self.claims = {ClaimUID(c.metadata.uid): c for c in claims}
        binder = Binder(
            tools_of(Hub(None), {}, {}),
            on_claim=lambda _: None,
            on_gone=lambda _: None,
            on_idle=lambda _: None,
        )
        self.turns = Turns(self.claims.get, binder.mend)


class Mending:
    """Work that takes until it is told to end."""

    def __init__(self) -> None:
        self.under_way = self.most = 0
        self.done = list[str]()
        self.may_end = asyncio.Event()

    async def __call__(self, claim: GpuClaim, _: object) -> GpuClaim:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.may_end.wait()
        finally:
            self.under_way -= 1
        self.done.append(claim.metadata.uid)
        return claim


async def test_all_have_their_turn_and_never_more_than_a_few_at_once():
    claims, work = claims_of("west", 5 * AT_ONCE), Mending()
    turns = Engine(*claims).turns
    turns.take(WEST, claims, work)
    await eventually("begun", lambda: work.under_way == AT_ONCE)
    assert turns.waiting(WEST) == 4 * AT_ONCE

    work.may_end.set()
    await eventually("all done", lambda: len(work.done) == len(claims))
    assert work.most == AT_ONCE
    assert turns.waiting(WEST) == 0


async def test_a_cluster_whose_mendings_hang_keeps_no_other_waiting():
    west, east, hangs, work = claims_of("west", 50), claims_of("east", 50), Mending(), Mending()
    turns = Engine(*west, *east).turns
    work.may_end.set()
    turns.take(WEST, west, hangs)
    turns.take(EAST, east, work)

    await eventually("all done", lambda: len(work.done) == len(east))
    assert hangs.done == []
    hangs.may_end.set()


async def test_a_mending_that_fails_gives_its_turn_to_the_next():
    claims, failed = claims_of("west", 3 * AT_ONCE), list[str]()

    async def fail(claim: GpuClaim, _: object) -> GpuClaim:
        failed.append(claim.metadata.uid)
        raise RuntimeError("no")

    started = list[asyncio.Task[object]]()

    def start(claim: GpuClaim, work: Work) -> bool:
        started.append(asyncio.create_task(work(claim, lambda: None)))
        return True

    Turns({ClaimUID(c.metadata.uid): c for c in claims}.get, start).take(WEST, claims, fail)
    await eventually("all tried", lambda: len(failed) == len(claims))
    await asyncio.gather(*started, return_exceptions=True)


async def test_who_waits_is_what_the_last_look_found_and_is_taken_as_it_is_then():
    claims, later, work = claims_of("west", 2 * AT_ONCE), claims_of("later", 2), Mending()
    engine = Engine(*claims, *later)
    engine.turns.take(WEST, claims, work)
    engine.turns.take(WEST, later, work)
    gone, stays = later
    del engine.claims[ClaimUID(gone.metadata.uid)]

    work.may_end.set()
    await eventually("done", lambda: stays.metadata.uid in work.done)
    assert work.done[-1] == stays.metadata.uid
    assert len(work.done) == AT_ONCE + 1


async def test_who_waits_in_a_cluster_that_is_let_go_is_forgotten():
    claims, work = claims_of("west", 2 * AT_ONCE), Mending()
    turns = Engine(*claims).turns
    turns.take(WEST, claims, work)
    await eventually("begun", lambda: work.under_way == AT_ONCE)
    turns.drop(WEST)

    work.may_end.set()
    await eventually("done", lambda: len(work.done) == AT_ONCE)
    await asyncio.sleep(0)
    assert turns.waiting(WEST) == 0
    assert work.under_way == 0


def test_claims_that_something_else_is_under_way_for_take_nobodys_turn():
    claims = claims_of("west", 3 * AT_ONCE)
    busy = {c.metadata.uid for c in claims[: 2 * AT_ONCE]}
    begun = SimpleNamespace(uids=[])

    def start(claim: GpuClaim, _: Work) -> bool:
        if claim.metadata.uid in busy:
            return False
        begun.uids.append(claim.metadata.uid)
        return True

    async def never(*_: object) -> None: ...

    Turns({ClaimUID(c.metadata.uid): c for c in claims}.get, start).take(WEST, claims, never)
    assert len(begun.uids) == AT_ONCE
