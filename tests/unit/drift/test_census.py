"""Whoever asks the hub for claims while another does: answered by a list that began later, of which little is kept."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from sublet.api.ids import ClaimUID
from sublet.api.kinds import CLAIMS
from sublet.api.origin import RESTORED
from sublet.api.times import parse_instant
from sublet.drift.census import Census, Roll
from sublet.drift.lookout import Place
from sublet.kube.errors import Unreachable
from sublet.kube.hub_lists import PAGE_SIZE
from sublet.kube.lists import ListPage, page_of
from tests.builders.api import uid_of
from tests.builders.moves import leased, running
from tests.builders.orphans import OPEN, ORPHAN, WEST, World
from tests.builders.restored import newborn, on_the_wire, restored
from tests.builders.unread import holds_by_newer
from tests.harness.fake_api import eventually

RUNNING = running(leased("east"))
ONE = on_the_wire(RUNNING)


def uid(number: int) -> ClaimUID:
    return ClaimUID(uid_of(f"claim {number}"))


def claim(number: int) -> dict[str, Any]:
    """Return one of many claims on the hub."""
    return {**ONE, "metadata": {**ONE["metadata"], "uid": uid(number), "name": f"c{number}"}}


class Hub:
    """Claims in pages; a page is held while it isn't let go. Notes how many lists were begun, and were under way at once."""

    def __init__(self, items: Iterable[dict[str, Any]]) -> None:
        self.items = list(items)
        self.lists = self.under_way = self.most = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.fails = False

    async def list_page(self, path: str, params: dict[str, str], *, limit: int, **_: Any) -> ListPage:  # fmt: skip
        assert path == CLAIMS.path()
        begin = int(params.get("continue", 0))
        if not begin:
            self.lists += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        page = self.items[begin : begin + limit]
        rest = str(begin + limit) if begin + limit < len(self.items) else ""
        await self.goes_on.wait()
        await asyncio.sleep(0)
        if self.fails or not rest:
            self.under_way -= 1
        if self.fails:
            raise Unreachable("no answer")
        meta = {"resourceVersion": "99", "continue": rest}
        return page_of(msgspec.json.encode({"metadata": meta, "items": page}), limit, path)


@asynccontextmanager
async def held(hub: Hub, census: Any, *numbers: int) -> AsyncIterator[list[asyncio.Task[Roll]]]:
    """Hold a list up that asks for claim 0, and have the numbers asked for meanwhile."""
    hub.goes_on.clear()
    tasks = []
    for number in (0, *numbers):
        tasks.append(asyncio.create_task(census.ask({uid(number)})))
        await asyncio.sleep(0)
    yield tasks
    hub.goes_on.set()


def census_of(hub: Any) -> Census:
    return Census(hub)


async def test_of_thousands_only_those_are_kept_that_are_asked_about():
    hub = Hub(claim(n) for n in range(3 * PAGE_SIZE))
    roll = await census_of(hub).ask({uid(1), uid(2 * PAGE_SIZE), uid(-1)})

    assert roll.claims.keys() == {uid(1), uid(2 * PAGE_SIZE)}
    assert roll.version == "99"


async def test_of_no_claims_at_all_the_version_is_known():
    assert (await census_of(Hub(())).ask({uid(1)})).version == "99"


async def test_many_questions_at_once_are_two_lists_one_after_the_other():
    hub = Hub(claim(n) for n in range(2 * PAGE_SIZE))
    census = census_of(hub)
    async with held(hub, census, *range(1, 20)) as tasks:
        pass
    rolls = await asyncio.gather(*tasks)

    assert (hub.lists, hub.most) == (2, 1)
    assert all(uid(n) in roll.claims for n, roll in enumerate(rolls))


async def test_what_is_asked_while_a_list_is_under_way_is_answered_by_a_later_one():
    hub = Hub(())
    async with held(hub, census_of(hub), 7) as tasks:
        hub.items.append(claim(7))
    early, late = await asyncio.gather(*tasks)

    assert uid(7) not in early.claims
    assert uid(7) in late.claims


async def test_a_list_that_fails_fails_for_all_who_share_it_and_for_nobody_after():
    hub = Hub([claim(0)])
    census = census_of(hub)
    async with held(hub, census, 1, 2, 3) as tasks:
        hub.fails = True
    failed = await asyncio.gather(*tasks, return_exceptions=True)
    hub.fails = False

    assert [type(each) for each in failed] == [Unreachable] * 4
    assert hub.lists == 2
    assert uid(0) in (await census.ask({uid(0)})).claims


async def test_whoever_gives_up_leaves_the_others_their_answer():
    hub = Hub([claim(2)])
    async with held(hub, census_of(hub), 1, 2) as (lists, shares, waits):
        lists.cancel()
        await eventually("the next list is under way", lambda: hub.lists == 2)
        shares.cancel()

    assert [*(await waits).claims] == [uid(2)]


async def test_what_waits_cant_be_read_or_is_from_a_backup_is_told_apart():
    waits, unread = restored(claim(1)), holds_by_newer(RUNNING, version="150")
    roll = await census_of(Hub([waits, unread])).ask({uid(1), ClaimUID(RUNNING.metadata.uid)})

    assert roll.awaited == {uid(1)}
    assert roll.claims == {RUNNING.metadata.uid: None}
    assert roll.backups == {parse_instant(waits["status"]["origin"]["backupTime"])}


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_mark_that_anybody_can_write_makes_no_claim_wait_that_is_there(is_first: bool):
    there, forged = claim(1), newborn(claim(2))
    forged["metadata"] |= {"annotations": {RESTORED: uid(1)}}
    items = [forged, there] if is_first else [there, forged]
    roll = await census_of(Hub(items)).ask({uid(1)})

    assert (roll.awaited, [*roll.claims]) == (set(), [uid(1)])


async def test_many_orphans_that_are_taken_back_at_once_share_their_looks_at_the_hub(
    monkeypatch: pytest.MonkeyPatch,
):
    uids = [uid(number) for number in range(20)]
    world = World(*(replace(OPEN, claim_uid=each) for each in uids))
    named = WEST.spec.model_copy(update={"release_orphans": tuple(uids)})
    world.place = Place(WEST.model_copy(update={"spec": named}), world.place.cluster)
    orphans = [replace(ORPHAN, claim_uid=u, namespaces=(f"sublet-{u}-1",)) for u in uids]
    lists = list[str]()

    async def list_page(path: str, *args: Any, **more: Any) -> ListPage:
        lists.append(path)
        await asyncio.sleep(0)
        return await World.list_page(world, path, *args, **more)

    monkeypatch.setattr(world, "list_page", list_page)
    for _ in range(2):
        await world.look(*orphans)
    await world.end()

    assert len(world.facts) == 4 * len(uids)
    assert len(lists) < len(uids)
