"""A leased cluster that lies: its own lease says so, its tasks live on, and it is believed again when it is honest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from sublet.api.common import Status
from sublet.api.gpulease import GpuLease
from sublet.api.times import Millis
from sublet.book.inventory import Reach, Unfit
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.conditions import Held, lease_status
from sublet.fleet.inventory import node_state
from sublet.fleet.probe import (
    MOST_CHANGES,
    RESTLESS_SECONDS,
    RESTLESS_WITHIN_SECONDS,
    Probe,
    ProbeTimes,
)
from sublet.kube.errors import BadAnswer, KubeError
from sublet.kube.session import ApiServer, Limits
from sublet.kube.wire import Node
from tests.builders.api import NOW, as_lease, lease, uid_of
from tests.harness.fake_api import (  # fmt: skip
    Answer,
    FakeApi,
    SteppedClock,
    answering,
    eventually,
    fake_api,
)
from tests.harness.hostile import (  # fmt: skip
    ANYWHERE,
    NODES,
    ODD,
    a_node,
    bomb,
    cut,
    drip,
    flood,
    garbage,
    one_line,
)
from tests.harness.leased import connected

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
WEST, OTHER = uid_of("cluster west"), uid_of("cluster other")
QUICK = ProbeTimes(every_seconds=0.5)
NONSENSE = "isn't what a Kubernetes API server answers"


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        running.objects[KUBE_SYSTEM] = {"metadata": {"uid": WEST}}
        running.objects["/version"] = {"gitVersion": "v1.37.2"}
        running.put(a_node("n0"))
        yield running


@asynccontextmanager
async def engaged(fake: FakeApi) -> AsyncIterator[LeasedCluster]:
    cluster = connected(fake, times=QUICK)
    cluster.start()
    try:
        yield cluster
        assert not any(t.done() for t in cluster._tasks), "a task ended by itself"
    finally:
        await cluster.close()


def always(fake: FakeApi, answer: Answer) -> None:
    fake._list = answer  # type: ignore[method-assign,assignment]  # whatever is asked for, this is the answer


def says(cluster: LeasedCluster, type_: str) -> tuple[Status, str]:
    """Return what the lease's condition would say."""
    body: GpuLease = as_lease(lease("west"))
    status = lease_status(body, cluster.facts, cluster.inventory(), Held(), Millis(NOW))
    found = next(c for c in status.conditions if c.type == type_)
    return found.status, found.message


@pytest.mark.parametrize("lie", [*ANYWHERE, *NODES])
async def test_nodes_that_cant_be_are_not_read_and_the_lease_says_why(fake: FakeApi, lie: str):
    honest = fake._list
    always(fake, {**ANYWHERE, **NODES}[lie])
    async with engaged(fake) as cluster:
        await eventually("said", lambda: NONSENSE in says(cluster, "CapacityMet")[1])

        assert says(cluster, "CapacityMet")[0] is Status.UNKNOWN
        assert not cluster.inventory().synced
        assert cluster.facts.reach is Reach.REACHABLE
        always(fake, honest)
        await eventually("believed again", lambda: cluster.facts.synced)
        assert says(cluster, "CapacityMet")[0] is not Status.UNKNOWN


@pytest.mark.parametrize("lie", ANYWHERE)
async def test_a_cluster_that_answers_nonsense_is_unknown_and_said_to_be(fake: FakeApi, lie: str):
    fake.objects[KUBE_SYSTEM] = ANYWHERE[lie]
    async with engaged(fake) as cluster:
        await eventually("said", lambda: NONSENSE in says(cluster, "Reachable")[1])

        assert says(cluster, "Reachable")[0] is Status.UNKNOWN
        assert not cluster.writable


async def test_nonsense_after_honesty_sells_nothing_more(fake: FakeApi):
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: cluster.facts.synced and fake.open_watches)
        always(fake, NODES["no UID"])
        fake.send("ADDED", {"metadata": {"name": "\n", "uid": "x"}})
        await eventually("not believed", lambda: not cluster.inventory().synced)

        assert list(cluster.inventory().nodes) == ["n0"], "what was known is kept"


@pytest.mark.parametrize("answer", [flood, garbage, one_line, drip])
async def test_a_watch_that_floods_or_drips_leaves_others_their_turn(fake: FakeApi, answer: Answer):
    """While the liar sends without end, a neighbour in the same loop gets hundreds of answers."""
    fake.next_watch.extend([answer] * 50)
    async with fake_api() as other, engaged(fake), ApiServer(other.endpoint) as neighbour:
        other.objects["/x"] = {}
        await eventually("the watch is open", lambda: fake.watches)
        for _ in range(300):
            await neighbour.get("/x")


async def test_a_cluster_that_says_something_else_each_time_is_asked_less_often(fake: FakeApi):
    """Its words, its Date or its UID: each change is a write on the hub."""
    clock = SteppedClock()
    api = ApiServer(fake.endpoint)

    async def confirmed() -> None: ...

    probe = Probe(
        api,
        lambda: as_lease(lease("west")),
        hub_uid=None,
        clock=clock,
        times=ProbeTimes(every_seconds=2.0),
        changed=lambda: None,
        confirmed=confirmed,
        is_anothers=lambda _: False,
    )
    assert probe._wait_seconds() == 1.0
    async with api:
        for i in range(MOST_CHANGES):
            fake.objects[KUBE_SYSTEM] = answering(403, "Forbidden", f"no {i}")
            await probe._look()
    assert probe._wait_seconds() == RESTLESS_SECONDS
    clock.seconds += RESTLESS_WITHIN_SECONDS

    assert probe._wait_seconds() == 1.0


async def test_nodes_that_go_without_end_are_forgotten(fake: FakeApi, monkeypatch):
    monkeypatch.setattr("sublet.fleet.cluster.MOST_LEFT", 10)
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: cluster.facts.synced and fake.open_watches)
        for i in range(50):
            fake.send("DELETED", a_node(f"never-{i}", uid=uid_of(f"never {i}")))
        fake.put(a_node("last"))
        await eventually("all taken", lambda: "last" in cluster.inventory().nodes)

        assert list(cluster._left) == [uid_of(f"never {i}") for i in range(40, 50)]


async def test_a_kube_system_that_changes_its_uid_ends_all_writes(fake: FakeApi):
    async with engaged(fake) as cluster:
        await eventually("synced", lambda: cluster.facts.synced)
        fake.objects[KUBE_SYSTEM] = {"metadata": {"uid": OTHER}}
        await eventually("seen", lambda: not cluster.writable)

        assert says(cluster, "IdentityConfirmed")[0] is Status.FALSE
        assert OTHER in says(cluster, "IdentityConfirmed")[1]


async def test_a_node_that_comes_with_another_uid_is_another_node(fake: FakeApi):
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: cluster.facts.synced and fake.open_watches)
        fake.put(a_node("n0", uid=uid_of("re-created")))
        await eventually("seen", lambda: next(iter(cluster.inventory().nodes.values())).uid == uid_of("re-created"))  # fmt: skip


@pytest.mark.parametrize("version", ["", "0", "abc", "9" * 300, "-1", "\N{ARABIC-INDIC DIGIT ONE}"])
async def test_versions_that_are_none_hurt_nothing(fake: FakeApi, version: str):
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: cluster.facts.synced and fake.open_watches)
        odd = a_node("n1", version=version)
        fake.send("ADDED", odd)
        await eventually("taken", lambda: "n1" in cluster.inventory().nodes)


@pytest.mark.parametrize("what", ODD)
def test_a_node_with_gpus_that_cant_be_is_not_sold(what: str):
    body: dict[str, Any] = a_node("n0")
    ODD[what](body)
    found = node_state(
        msgspec.convert(body, Node), as_lease(lease("west")), before=None, foreign_pods=False
    )

    assert found.unfit in (Unfit.COUNT_MISMATCH, Unfit.LABELS_MISSING)
    assert found.gpus == 0


def test_a_book_that_gives_away_more_than_a_node_has_is_no_book():
    claims = [uid_of(str(i)) for i in range(9)]
    body = a_node("n0")
    body["metadata"]["annotations"]["sublet.dev/allocation"] = ",".join(f"{c}=9999" for c in claims)
    body["metadata"]["labels"] |= {f"claim.sublet.dev/{c}": "true" for c in claims}
    found = node_state(
        msgspec.convert(body, Node), as_lease(lease("west")), before=None, foreign_pods=False
    )

    assert found.unfit is Unfit.BOOK_UNREADABLE
    assert found.gpus == 8


@pytest.mark.parametrize("answer", [bomb, cut, *ANYWHERE.values()])
async def test_no_answer_raises_anything_but_our_own_errors(fake: FakeApi, answer: Answer):
    fake.objects["/x"] = answer
    async with ApiServer(fake.endpoint, Limits(body_bytes=1_000_000, request_seconds=5)) as api:
        with pytest.raises(KubeError):
            await api.get_as("/x", Node)


async def test_answers_under_way_are_bounded_together(fake: FakeApi):
    fake.objects["/x"] = ANYWHERE["100 MB"]
    limits = Limits(body_bytes=8_000_000, bodies_bytes=10_000_000)
    async with ApiServer(fake.endpoint, limits) as api:
        ends = await asyncio.gather(*(api.get("/x") for _ in range(4)), return_exceptions=True)

    assert all(isinstance(end, BadAnswer) for end in ends)
    assert api._reading.held_bytes == 0
