"""Taking orphans back: never at first sight, the ledger first, and not while the hub has the claim after all."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from sublet.api.common import Condition, Status
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.api.origin import RESTORED
from sublet.api.times import Millis, format_instant
from sublet.drift.claims import Claims
from sublet.drift.lookout import Place
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.interval import intervals
from tests.builders.api import NOW, as_claim, as_lease, claim, lease, uid_of
from tests.builders.clusters import CLUSTER, Hub, LiveNodes, tools_of
from tests.builders.fleet import bound, held, nodes
from tests.builders.orphans import GONE, NODE, OPEN, ORPHAN, WEST, World
from tests.builders.restored import adopted, newborn, on_the_wire, restored
from tests.builders.unread import holds_by_newer


async def test_an_orphan_is_taken_back_at_second_sight_the_ledger_before_all_else():
    world = World(OPEN)
    await world.look()
    assert world.said == "Waits"
    assert world.api.calls == []

    await world.look()
    await world.end()

    assert world.said == "TakenBack"
    assert world.api.calls[0] == ("LEDGER", "")
    assert world.api.sent("DELETE")[-1].endswith(f"/namespaces/sublet-{GONE}-1")
    assert [c for c in world.api.calls if c[0] in ("DELETE", "PATCH", "LEDGER")][-2:] == [
        ("PATCH", "/api/v1/nodes/n0"), ("LEDGER", ""),
    ]  # fmt: skip
    ends = [(f.kind.value, f.type.value) for f in world.facts[1:]]
    assert ends == [("bound", "close"), ("releasing", "open"), ("releasing", "close")]


async def test_a_claim_that_cant_be_read_keeps_what_is_there_and_no_other_orphan_waits_for_it():
    world, train = World(OPEN), held(as_claim(claim("train")), WEST, nodes(WEST, 1))
    uid = ClaimUID(train.metadata.uid)
    world.items = [holds_by_newer(train, version="150")]
    its = replace(ORPHAN, claim_uid=uid, namespaces=(f"sublet-{uid}-1",))
    for _ in range(3):
        await world.look(ORPHAN, its)
        await world.end()

    assert world.said == "TakenBack"
    assert all(str(uid) not in path for path in world.api.sent("DELETE"))
    assert [f.claim_uid for f in world.facts[1:]] == [GONE] * 3


async def test_an_orphans_node_waits_for_its_landlords_wipe():
    world = World(OPEN)
    term = WEST.spec.term.model_copy(update={"clean_label": "landlord.example/clean"})
    asks = WEST.model_copy(update={"spec": WEST.spec.model_copy(update={"term": term})})
    world.place = Place(asks, world.place.cluster)
    stale = NODE.metadata.labels | {"landlord.example/clean": "true"}
    meta = msgspec.structs.replace(NODE.metadata, labels=stale, resource_version="1")
    live = LiveNodes(GONE, {"/api/v1/nodes/n0": msgspec.structs.replace(NODE, metadata=meta)})
    cluster: Any = world.place.cluster
    cluster.api = live
    for _ in range(3):
        await world.look()
        await world.end()

    assert live.annotation("n0", "sublet.dev/allocation") == f"{GONE}=8"
    assert live.annotation("n0", "sublet.dev/unwiped") == f"{GONE}=landlord.example/clean=true"


async def test_a_downtime_of_the_orphan_ends_with_its_bill_and_its_terms_stay():
    terms = replace(OPEN, kind=EntryKind.TERMS, type=EntryType.SET, gpus=0, tags_hash="")
    now = tools_of(Hub(None), {}, {}).clock.now_ms()
    world = World(terms, OPEN, replace(OPEN, kind=EntryKind.DOWNTIME, gpus=2, at_ms=now))
    for _ in range(2):
        await world.look()
        await world.end()

    ends = {(f.kind.value, f.type.value): f.at_ms for f in world.facts[3:]}
    assert ends["downtime", "close"] == now + 1
    assert len(ends) == 4
    assert len(list(intervals(world.facts))) == 3


async def test_a_silence_that_the_orphan_was_in_ends_with_its_bill():
    over = replace(OPEN, kind=EntryKind.DISPUTED, at_ms=Millis(NOW - 4))
    ended = replace(over, type=EntryType.CLOSE, at_ms=Millis(NOW - 3))
    world = World(OPEN, over, ended, replace(over, at_ms=Millis(NOW - 2)))
    for _ in range(2):
        await world.look()
        await world.end()

    ends = [(f.kind.value, f.type.value) for f in world.facts[4:]]
    assert ends == [
        ("bound", "close"),
        ("disputed", "close"),
        ("releasing", "open"),
        ("releasing", "close"),
    ]


async def test_a_second_try_closes_nothing_twice():
    world = World(OPEN)
    for _ in range(4):
        await world.look()
        await world.end()

    assert len(world.facts) == 4


async def test_two_clusters_that_take_back_one_claim_at_once_end_its_bill_once(
    monkeypatch: pytest.MonkeyPatch,
):
    world = World(OPEN)

    async def append(facts, terms, records=()) -> int:
        await asyncio.sleep(0.01)
        return await World.append(world, facts, terms)

    monkeypatch.setattr(world, "append", append)
    for _ in range(2):
        for cluster in (CLUSTER, uid_of("east")):
            await world.sweeper.tend(ClusterUID(cluster), [world.place], [ORPHAN], Claims(()))
    await world.end()

    ends = [(f.kind.value, f.type.value) for f in world.facts[1:]]
    assert ends == [("bound", "close"), ("releasing", "open"), ("releasing", "close")]


async def test_a_claim_that_is_on_the_hub_with_the_node_is_none():
    world = World(OPEN)
    node = nodes(WEST, 1)[0]
    live = bound(held(as_claim(claim(), uid=str(GONE)), WEST, [node]))
    body = {"apiVersion": "sublet.dev/v1alpha1", "kind": "GpuClaim", **live.model_dump(mode="json", by_alias=True, exclude_none=True)}  # fmt: skip
    body["status"]["allocation"]["placements"][0]["nodeUID"] = NODE.metadata.uid
    world.items.append(body)
    for _ in range(3):
        await world.look()

    assert world.said == ""
    assert world.api.calls == []


async def test_an_entry_alone_never_costs_a_claim_that_lives_on_elsewhere_its_namespace():
    known = replace(OPEN, source_version="0")
    world = World(known)
    live = bound(held(as_claim(claim(), uid=str(GONE)), WEST, [nodes(WEST, 1)[0]]))
    world.items.append(on_the_wire(live))
    for _ in range(3):
        await world.look(replace(ORPHAN, namespaces=()))
        await world.end()

    assert world.said == "TakenBack"
    assert world.api.sent("DELETE") == []
    assert world.api.sent("PATCH")[0] == "/api/v1/nodes/n0"
    assert world.facts == [known]


async def test_nothing_is_done_while_the_hub_is_older_than_the_ledger():
    world = World(OPEN, version="99")
    for _ in range(3):
        await world.look()

    assert world.said == "HubRewound"
    assert world.api.calls == []


async def test_a_hub_that_was_put_back_stays_so_when_its_versions_have_caught_up():
    world = World(OPEN, version="99")
    await world.look()
    world.version = "101"
    for _ in range(3):
        await world.look()

    assert world.said == "HubRewound"
    assert world.api.calls == []


async def test_what_one_cluster_found_that_only_a_person_ends_holds_for_the_claim_in_another_too():
    world = World(OPEN, version="99")
    await world.sweeper.tend(ClusterUID(uid_of("east")), [world.place], [ORPHAN], Claims(()))
    world.version = "101"
    for _ in range(3):
        await world.look()

    assert (world.said, world.api.calls) == ("HubRewound", [])


@pytest.mark.parametrize("is_adopted", [True, False])
async def test_a_claim_that_was_bound_after_the_backup_is_held_where_its_lease_was_restored(
    is_adopted: bool,
):
    world = World(OPEN)
    west = restored(on_the_wire(WEST, "GpuLease"), "west")
    west["status"]["origin"]["backupTime"] = format_instant(Millis(NOW - 60_000))
    west = adopted(west) if is_adopted else west
    world.place = Place(GpuLease.model_validate(west), world.place.cluster)
    for _ in range(3):
        await world.look()

    assert world.said == "HubRewound"
    assert world.api.calls == []


async def test_a_claim_that_was_bound_after_the_backup_is_held_where_another_claim_was_restored():
    world = World(OPEN)
    other = adopted(restored(on_the_wire(as_claim(claim("other"), uid=uid_of("other")))))
    other["status"]["origin"]["backupTime"] = format_instant(Millis(NOW - 60_000))
    world.items.append(other)
    for _ in range(3):
        await world.look()

    assert world.said == "HubRewound"
    assert world.api.calls == []


async def test_on_a_restored_hub_what_was_bound_long_before_the_backup_is_still_taken_back():
    world = World(replace(OPEN, at_ms=Millis(NOW - 10 * 3_600_000)))
    west = adopted(restored(on_the_wire(WEST, "GpuLease"), "west"))
    world.place = Place(GpuLease.model_validate(west), world.place.cluster)
    for _ in range(4):  # its own lines, which are later than any backup, don't stop a taking back
        await world.look()
        await world.end()

    assert world.said == "TakenBack"


async def test_a_look_that_doesnt_show_it_ends_nothing_that_only_a_person_ends():
    world = World(OPEN, version="99")
    await world.look()
    assert world.said == "HubRewound"
    world.version = "101"  # the hub goes on writing

    await world.sweeper.tend(ClusterUID(CLUSTER), [world.place], [], Claims(()))
    for _ in range(3):
        await world.look()
        await world.end()

    assert world.said == "HubRewound"
    assert world.api.calls == []


@pytest.mark.parametrize("reason", ["HubRewound", "TooMany"])
async def test_what_only_a_person_ends_outlives_the_process(reason: str):
    world = World(OPEN)
    said = Condition(
        type="Orphaned", status=Status.TRUE, reason=reason, message="", last_transition_time=NOW
    )
    status = WEST.status.model_copy(update={"conditions": (said,)})
    world.sweeper.recall([WEST.model_copy(update={"status": status})])
    world.sweeper.recall([WEST])  # as this process says it until it has looked
    await world.sweeper.tend(ClusterUID(CLUSTER), [world.place], [], Claims(()))
    for _ in range(3):
        await world.look()

    assert world.said == reason
    assert world.api.calls == []


async def test_of_many_that_vanished_the_last_waits_for_a_person_too():
    others = [ClaimUID(uid_of(f"gone-{i}")) for i in range(2)]
    many = [ORPHAN, *(replace(ORPHAN, claim_uid=u, namespaces=()) for u in others)]
    world = World(OPEN, *(replace(OPEN, claim_uid=u) for u in others))
    for _ in range(2):
        await world.look(*many)
    for _ in range(2):
        await world.look(ORPHAN)

    assert world.said == "TooMany"
    assert world.api.calls == []


async def test_a_persons_word_counts_for_many_too():
    other = ClaimUID(uid_of("gone-too"))
    world = World(OPEN, replace(OPEN, claim_uid=other))
    both = (ORPHAN, replace(ORPHAN, claim_uid=other, namespaces=()))
    await world.look(*both)
    assert world.said == "TooMany"
    world.place = Place(as_lease(lease(releaseOrphans=[str(GONE)])), world.place.cluster)
    await world.look(*both)
    await world.end()

    assert {f.claim_uid for f in world.facts if f.type is EntryType.CLOSE} == {GONE}
    assert world.said == "TooMany"


async def test_a_restored_claim_that_is_deleted_instead_of_adopted_is_an_orphan_from_then_on():
    world = World(OPEN)
    world.items.append(restored(on_the_wire(as_claim(claim(), uid=str(GONE)))))
    for _ in range(3):
        await world.look()
    world.items.clear()
    await world.look()

    assert world.said == "Waits"
    assert world.api.calls == []


async def test_a_line_that_is_written_during_a_look_makes_no_hub_look_older(
    monkeypatch: pytest.MonkeyPatch,
):
    world = World(OPEN)
    newest_facts = world.newest_facts

    async def and_then_more_is_written(count: int) -> list[Fact]:
        found = await newest_facts(count)
        world.version = "300"
        return found

    async def get(path: str, **params: str) -> dict[str, Any]:
        found = await World.get(world, path, **params)
        world.facts.append(replace(OPEN, claim_uid=ClaimUID(uid_of("new")), source_version="250"))
        return found

    monkeypatch.setattr(world, "newest_facts", and_then_more_is_written)
    monkeypatch.setattr(world, "get", get)
    await world.look()

    assert world.said == "Waits"


async def test_a_hub_that_is_another_cluster_is_not_believed():
    world = World(OPEN, hub_uid=uid_of("another"))

    with pytest.raises(Exception, match="the hub is another cluster now"):
        await world.look()
    assert world.api.calls == []


@pytest.mark.parametrize("finished", [True, False])
async def test_a_restored_claim_that_waits_to_be_adopted_is_never_taken_back(finished: bool):
    world = World(OPEN)
    held_back = restored(on_the_wire(as_claim(claim(), uid=str(GONE))))
    if not finished:  # the restore stopped before its status
        held_back = newborn(held_back)
    world.items.append(held_back)
    world.place = Place(as_lease(lease(releaseOrphans=[str(GONE)])), world.place.cluster)
    for _ in range(3):
        await world.look()

    assert world.said == "AwaitsAdoption"
    assert world.api.calls == []


async def test_a_mark_with_the_uid_of_a_claim_that_is_there_hides_nothing_of_it():
    world = World(OPEN)
    over = on_the_wire(as_claim(claim(), uid=str(GONE), resourceVersion="999"))
    over["status"] = {"lastSequence": 1}
    forged = on_the_wire(as_claim(claim("forged"), uid=uid_of("forged")))
    forged["metadata"]["annotations"] = {RESTORED: str(GONE)}
    world.items += [over, newborn(forged)]
    for _ in range(2):
        await world.look()
    await world.end()

    assert world.said == "TakenBack"


async def test_an_adopted_claim_has_what_it_had():
    world = World(OPEN)
    live = bound(held(as_claim(claim(), uid=str(GONE)), WEST, [nodes(WEST, 1)[0]]))
    body = on_the_wire(live)
    body["status"]["allocation"]["placements"][0]["nodeUID"] = NODE.metadata.uid
    world.items.append(adopted(restored(body)))
    for _ in range(3):
        await world.look()

    assert world.said == ""
    assert world.api.calls == []


async def test_of_a_cluster_to_which_no_lease_leads_any_more_nothing_is_kept():
    world = World(OPEN)
    world.sweeper.recall([WEST])
    await world.look()
    world.sweeper.keep({ClusterUID(CLUSTER)})
    assert (len(world.sweeper._cases), len(world.sweeper._said)) == (1, 1)
    world.sweeper.recall([])
    world.sweeper.keep(())

    assert (world.sweeper._cases, world.sweeper._said) == ({}, {})


async def test_what_is_being_taken_back_is_known_until_it_is_done():
    world = World(OPEN)
    await world.look()
    await world.look()
    world.sweeper.keep(())
    assert len(world.sweeper._cases) == 1
    await world.end()
    world.sweeper.keep(())

    assert world.sweeper._cases == {}
