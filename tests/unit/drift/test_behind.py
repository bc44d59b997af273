"""A hub that was put back is told before this process writes to it: a hub that lost little soon has the ledger's versions again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from sublet.api.ids import ClaimUID
from sublet.drift import behind
from sublet.kube.errors import Unreachable
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.port import LedgerUnavailable
from tests.builders.api import uid_of
from tests.builders.orphans import OPEN, ORPHAN, World

LATER = replace(OPEN, kind=EntryKind.CAPACITY, type=EntryType.SET, source_version="250")


async def away(*_: Any, **__: Any) -> list[Fact]:
    raise LedgerUnavailable("away")


async def silent(*_: Any, **__: Any) -> list[Fact]:
    return await asyncio.Future[list[Fact]]()


async def compared_without_ledger(world: World, instead: Callable[..., Awaitable[list[Fact]]] = away):  # fmt: skip
    """Compare while the ledger can't be asked, which it can be again then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "newest_facts", instead)
        patch.setattr(behind, "_PATIENCE_SECONDS", 0.01)
        await world.behind.compare()


async def test_what_is_written_before_the_first_look_makes_an_older_hub_no_newer():
    world = World(OPEN, version="99")
    await world.behind.compare()
    world.version = "101"
    for _ in range(3):
        await world.look()

    assert (world.said, world.api.calls) == ("HubRewound", [])


async def test_a_person_still_ends_what_an_older_hub_doesnt_know():
    world = World(OPEN, version="99")
    await world.behind.compare()
    world.version = "101"
    world.release_orphan()
    for _ in range(2):
        await world.look()
        await world.end()

    assert world.said == "TakenBack"


async def test_a_claim_that_was_bound_since_the_older_hub_caught_up_is_taken_back():
    world = World(OPEN, version="99")
    await world.behind.compare()
    world.version = "400"
    later = ClaimUID(uid_of("later"))
    world.facts = [replace(OPEN, claim_uid=later, source_version="300")]
    its = replace(ORPHAN, claim_uid=later, namespaces=(f"sublet-{later}-1",))
    for _ in range(2):
        await world.look(its)
        await world.end()

    assert world.said == "TakenBack"


async def test_a_hub_that_isnt_older_holds_nothing():
    world = World(OPEN, version="100")
    await world.behind.compare()

    assert world.behind.lost_version == 0


async def test_a_hub_that_has_caught_up_when_this_process_comes_to_lead_was_older_all_the_same():
    world = World(OPEN, version="99")
    await world.behind.compare()
    world.version = "101"
    await world.behind.compare()

    assert world.behind.lost_version == 100


async def test_a_line_that_is_written_meanwhile_makes_no_hub_older(monkeypatch: pytest.MonkeyPatch):
    world = World(OPEN)

    async def get(path: str, **params: str) -> dict[str, Any]:
        world.facts.append(replace(OPEN, source_version="250"))
        return await World.get(world, path, **params)

    monkeypatch.setattr(world, "get", get)
    await world.behind.compare()

    assert world.behind.lost_version == 0


@pytest.mark.parametrize(
    ("asked", "fault"), [("newest_facts", LedgerUnavailable("away")), ("get", Unreachable("away"))]
)
async def test_what_cant_be_asked_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, asked: str, fault: Exception
):
    world = World(OPEN, version="99")

    async def away(*_: Any, **__: Any) -> list[Fact]:
        raise fault

    monkeypatch.setattr(world, asked, away)
    await world.behind.compare()

    assert world.behind.lost_version == 0


@pytest.mark.parametrize("instead", [away, silent])
async def test_a_ledger_that_cant_be_asked_at_first_tells_of_an_older_hub_when_it_can(
    instead: Callable[..., Awaitable[list[Fact]]],
):
    world = World(OPEN, version="99")
    async with asyncio.timeout(5):
        await compared_without_ledger(world, instead)
    world.version = "101"
    for _ in range(3):
        await world.look()
        await world.end()

    assert (world.said, world.api.calls) == ("HubRewound", [])


async def test_what_this_process_writes_before_the_ledger_is_asked_makes_no_hub_older():
    world = World(OPEN, version="100")
    await compared_without_ledger(world)
    await world.append([LATER], {})
    world.version = "300"
    for _ in range(2):
        await world.look()
        await world.end()

    assert world.said == "TakenBack"


async def test_what_another_replica_wrote_before_this_one_came_to_lead_makes_no_hub_older():
    world = World(OPEN, version="100")
    await compared_without_ledger(world)
    world.facts.append(LATER)
    world.version = "300"
    await compared_without_ledger(world)
    await world.behind.settle()

    assert world.behind.lost_version == 0
