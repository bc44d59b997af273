"""What a look takes for an orphan, and what not."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api import bound_status
from sublet.api.gpuclaim import Access, ClusterAccess
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeName
from sublet.api.last_word import Leftover
from sublet.binder.secret import SecretState
from sublet.drift import lookout, nodes as drift_nodes
from sublet.drift.claims import Claims
from sublet.drift.finding import Finding, Reason
from sublet.drift.look import Sight
from sublet.drift.lookout import Lookout, Place, find_orphans, left_by
from sublet.drift.news import News
from sublet.fleet.nodebook import BOOK, LEASE_LABEL, parse_book
from sublet.kube.errors import BadAnswer, Invalid
from sublet.kube.pace import Pace
from tests.builders.api import NOW, as_claim, as_lease, lease, uid_of
from tests.builders.clusters import Endings, looking_tools
from tests.builders.fleet import bound, held, nodes
from tests.builders.looks import Looked
from tests.builders.renewals import EAST, WEST, claim_on_both
from tests.builders.wire import wire_node
from tests.harness.fake_api import SteppedClock

GONE = ClaimUID(uid_of("gone"))
NAME = f"sublet-{GONE}-1"
HOME: dict[str, Any] = {"metadata": {"name": NAME, "labels": {"sublet.dev/claim": GONE}}}


def leaving_behind(*uids: ClaimUID) -> GpuLease:
    west = as_lease()
    left = tuple(Leftover(claim_uid=u, homes=(1,), gpus=8, since_time=NOW) for u in uids)
    return west.model_copy(update={"status": west.status.model_copy(update={"leftovers": left})})


async def test_a_namespace_of_a_claim_that_nobody_has_is_an_orphan():
    sight = Sight({NAME: HOME}, {})

    (found,) = await find_orphans(sight, Claims([]), {}, left_by(leaving_behind()), Pace())

    assert (found.claim_uid, found.namespaces) == (GONE, (NAME,))


async def test_what_was_left_by_a_persons_word_is_known_and_no_orphan():
    sight = Sight({NAME: HOME}, {})

    assert await find_orphans(sight, Claims([]), {}, left_by(leaving_behind(GONE)), Pace()) == ()


async def test_each_kubeconfig_has_its_turn_however_many_clusters_there_are(
    monkeypatch: pytest.MonkeyPatch,
):
    leases = [as_lease(lease(f"west-{i}")) for i in range(5)]
    access = Access(
        secret_name="x",
        clusters=(ClusterAccess(alias="x", namespace="x", expiration_time=NOW),),
    )
    claims = []
    for each in leases:
        found = bound(held(as_claim(uid=uid_of(each.metadata.name)), each, nodes(each, 1)))
        status = found.status.model_copy(update={"access": access})
        claims.append(found.model_copy(update={"status": status}))
    asked: set[str] = set()

    async def look(_: Any) -> Sight:
        return Sight({}, {})

    async def look_at_secret(_: Any, claim: Any, __: Any) -> SecretState:
        asked.add(claim.metadata.uid)
        return SecretState.FINE

    monkeypatch.setattr(lookout, "look", look)
    monkeypatch.setattr(lookout, "look_at_secret", look_at_secret)
    monkeypatch.setattr(lookout, "reachable_sites", lambda *_: ([], []))
    looks = Lookout(looking_tools(), News())  # nothing else is asked
    for _ in range(5):
        for each in leases:
            cluster: Any = SimpleNamespace(lease_uid=each.metadata.uid, nodes=lambda: ())
            uid = ClusterUID(uid_of(f"cluster of {each.metadata.name}"))
            await looks.look(uid, [Place(each, cluster)], Claims(claims), lambda _: False)

    assert asked == {c.metadata.uid for c in claims}


async def test_a_node_that_is_gone_is_doubted_no_more(monkeypatch: pytest.MonkeyPatch):
    west = as_lease()
    node = wire_node("n0", labels={f"claim.sublet.dev/{GONE}": "true"})
    shown = list[Any]()
    doubts = list[bool]()

    async def look(_: Any) -> Sight:
        return Sight({}, {})

    monkeypatch.setattr(lookout, "look", look)
    cluster: Any = SimpleNamespace(
        lease_uid=west.metadata.uid,
        nodes=lambda: tuple(shown),
        note_doubt=lambda _, in_doubt: doubts.append(in_doubt),
        inventory=lambda: SimpleNamespace(nodes={}),
        is_foreign=lambda _: False,
    )
    looks = Lookout(looking_tools(), News())
    for is_there in (True, True, False, True):
        shown = [node] if is_there else []
        await looks.look(
            ClusterUID(uid_of("c")), [Place(west, cluster)], Claims([]), lambda _: False
        )

    assert doubts == [False, True, False]  # what is seen once may be a cache that is behind


async def test_a_node_that_is_still_in_doubt_after_a_restart_is_never_called_well(monkeypatch):
    world = Looked(monkeypatch, Reason.NODE_IN_DOUBT)
    world.node.metadata.labels[LEASE_LABEL] = uid_of("another lease")
    await world.look()
    assert world.said == []  # it is doubted at second sight
    await world.look()
    assert [message.split(":")[1] for message in world.said] == [" another lease's label is on it; the platform team looks into it"]  # fmt: skip


async def test_marks_that_are_refused_for_good_are_said_and_tried_once_a_look(monkeypatch):
    put_back = drift_nodes._put_back
    world = Looked(monkeypatch, Reason.NODE_IN_DOUBT)
    monkeypatch.setattr(drift_nodes, "_put_back", put_back)
    tried = list[str]()

    async def refuse(path: str, *_: Any) -> Any:
        tried.append(path)
        raise Invalid(422, "Invalid", "metadata.labels: Invalid value")

    world.cluster.lease = world.place.lease
    world.cluster.api.patch_as = refuse
    await world.look()
    assert world.said == []  # what is refused once may have changed under the write
    with capture_logs() as logs:
        await world.look()

    assert len(tried) == 2
    assert ["the cluster refuses to put its marks back" in each for each in world.said] == [True]
    assert [each["event"] for each in logs] == ["node not mended"]


async def test_a_foreign_pod_that_is_still_there_after_a_restart_is_never_called_gone(monkeypatch):
    world = Looked(monkeypatch, Reason.FOREIGN_POD)
    world.has_pods = {"n0"}
    await world.look()
    assert (world.said, world.foreign) == ([], {"n0"})
    await world.look()
    assert len(world.said) == 1
    assert "a pod that is no claim's holds GPUs there" in world.said[0]


async def test_what_only_putting_right_finds_is_over_when_that_finds_nothing(monkeypatch):
    world = Looked(monkeypatch, Reason.ACCESS_LOST)
    for _ in range(3):
        assert await world.look()
        assert world.said == []

    world.news.note(ClaimUID(world.claim.metadata.uid), world.uid, ())
    await world.look()
    assert world.said == [""]


async def test_what_is_over_after_a_restart_is_taken_back_by_the_second_look(monkeypatch):
    world = Looked(monkeypatch, Reason.PROFILE_CHANGED)
    await world.look()
    await world.look()
    assert world.said == [""]


@pytest.mark.parametrize("runs_on", [False, True], ids=["ended", "came to other nodes"])
async def test_nothing_is_put_back_of_a_reservation_that_ended_by_the_ledger(monkeypatch, runs_on):
    ledger = Endings(as_claim().metadata.uid, runs_on=runs_on)
    world = Looked(monkeypatch, Reason.ACCESS_LOST, ledger)
    assert not await world.look()
    assert not await world.look()
    assert "n0" not in world.mended
    assert "ended by the ledger: the hub is older" in world.said[0]


async def test_a_claim_that_ended_by_the_ledger_says_so_also_where_its_node_is_gone(monkeypatch):
    world = Looked(monkeypatch, Reason.ACCESS_LOST, Endings(as_claim().metadata.uid))
    world.cluster.nodes = lambda: ()
    await world.look()
    (said,) = world.said
    assert said.startswith("reservation 1 of this claim")


async def test_a_ledger_that_is_away_is_asked_once_a_look_and_holds_up_no_repair(monkeypatch):
    ledger = Endings(as_claim().metadata.uid, is_away=True)
    world = Looked(monkeypatch, Reason.ACCESS_LOST, ledger)
    assert await world.look()
    assert "n0" in world.mended
    assert ledger.asked == 1


def here(name: str) -> ClusterUID:
    return ClusterUID(uid_of(name))


async def look_at(world: Looked, cluster: str, by: GpuLease) -> None:
    """Look once at the nodes that one cluster shows by a lease: none."""
    without_nodes = {"lease_uid": by.metadata.uid, "nodes": lambda: ()}
    shown: Any = SimpleNamespace(**{**vars(world.cluster), **without_nodes})
    claims = Claims([world.claim])
    await world.looks.look(here(cluster), [Place(by, shown)], claims, lambda _: False)


@pytest.mark.parametrize("reason", [Reason.NODE_IN_DOUBT, Reason.ISOLATION_DEGRADED])
async def test_what_may_be_of_a_cluster_that_wasnt_looked_at_stands_however_well_another_is(
    monkeypatch, reason: Reason
):
    world = Looked(monkeypatch, reason)
    both = claim_on_both()
    status = bound_status.degraded(both, reason, "node n0 at west", NOW)
    world.claim, uid = both.model_copy(update={"status": status}), ClaimUID(both.metadata.uid)
    for cluster in ("east", "west"):
        world.news.note(uid, here(cluster), ())  # nothing is found by putting it right
    for _ in range(2):
        await look_at(world, "east", EAST[0])
    assert world.said == []

    await look_at(world, "west", WEST[0])
    await look_at(world, "east", EAST[0])
    assert world.said == []  # what is seen once may be a cache that is behind
    await look_at(world, "west", WEST[0])
    assert world.said == [""]


async def test_what_was_found_by_a_lease_stands_while_only_another_of_its_cluster_can_be_asked(
    monkeypatch,
):
    world = Looked(monkeypatch, Reason.ISOLATION_DEGRADED)
    world.news.note(ClaimUID(world.claim.metadata.uid), world.uid, (Finding(Reason.ISOLATION_DEGRADED, "long ago"),))  # fmt: skip
    assert world.said == []

    await look_at(world, "c", EAST[0])
    assert world.said == []


async def test_pods_that_cant_be_read_hide_nothing_else_of_the_cluster(
    monkeypatch: pytest.MonkeyPatch,
):
    async def too_much(*_: Any) -> bool:
        raise BadAnswer("the answer is larger than 33554432 bytes")

    monkeypatch.setattr(lookout, "has_foreign_pods", too_much)
    nobody: Any = None

    assert not await lookout._has_foreign_pods(Place(as_lease(), nobody), NodeName("n0"))


async def test_what_was_seen_of_clusters_and_leases_that_are_gone_is_forgotten(monkeypatch):
    world = Looked(monkeypatch, Reason.NODE_IN_DOUBT)
    world.node.metadata.labels[LEASE_LABEL] = uid_of("another lease")
    await world.look()
    await world.look()
    kept = ("_looks", "_looked", "_known", "_doubted", "_pods_seen")
    world.looks.keep({world.uid}, {world.cluster.lease_uid})
    assert all(getattr(world.looks, name) for name in kept)
    world.looks.keep((), ())

    assert not any(getattr(world.looks, name) for name in kept)


class SlowHomes(dict[str, Any]):
    """Namespaces of which each takes 6 ms to decode; `alive` counts the turns of others between them."""

    def __init__(self, count: int, clock: SteppedClock) -> None:
        super().__init__({f"sublet-{uid_of(str(i))}-1": HOME for i in range(count)})
        self._clock = clock
        self.at_a_stretch = self.most = 0

    def items(self) -> Any:
        for each in super().items():
            self._clock.seconds += 0.006
            self.at_a_stretch += 1
            self.most = max(self.most, self.at_a_stretch)
            yield each

    async def alive(self) -> None:
        while True:
            self.at_a_stretch = 0
            await asyncio.sleep(0)


async def test_thousands_of_namespaces_leave_others_their_turns():
    clock = SteppedClock()
    homes = SlowHomes(300, clock)
    neighbour = asyncio.create_task(homes.alive())
    await asyncio.sleep(0)
    await find_orphans(Sight(homes, {}), Claims([]), {}, (), Pace(now=clock.monotonic))
    neighbour.cancel()

    assert homes.most <= 2


def test_a_nodes_book_is_read_once_however_many_strangers_it_names(monkeypatch):
    read = list[str]()

    def parsed(text: str) -> Any:
        read.append(text)
        return parse_book(text)

    monkeypatch.setattr(lookout, "parse_book", parsed)
    node = wire_node("n0", annotations={BOOK: f"{GONE}=8"})
    strangers = lookout._Strangers()
    strangers.note(LeaseUID("west"), node, [GONE, *(ClaimUID(uid_of(str(i))) for i in range(50))])

    assert len(read) == 1
    assert [e.gpus for e in strangers.entries[GONE]] == [8]
    assert [e.gpus for e in strangers.entries[ClaimUID(uid_of("7"))]] == [1]


def test_strangers_without_end_are_not_all_noted(monkeypatch):
    monkeypatch.setattr(lookout, "_MOST_ENTRIES", 25)
    strangers = lookout._Strangers()
    for number in range(3):
        uids = [ClaimUID(uid_of(f"{number} {i}")) for i in range(10)]
        strangers.note(LeaseUID("west"), wire_node(f"n{number}"), uids)

    assert len(strangers.entries) == strangers.count == 25
