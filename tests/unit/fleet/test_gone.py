"""A node that the list doesn't show is asked for by its name: only a live look at the right cluster says that it is gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from sublet.api.ids import NodeName, NodeUID
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.gone import AT_ONCE
from sublet.fleet.probe import ProbeTimes
from tests.builders.api import as_lease, lease, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.fake_api import (
    FakeApi,
    SteppedClock,
    answering,
    eventually,
    failure,
    fake_api,
    saying,
)

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
WEST, OTHER = uid_of("cluster west"), uid_of("another cluster")
NAME, UID, ANOTHER = NodeName("n1"), NodeUID(uid_of("n1")), NodeUID(uid_of("n1 made anew"))
NODE = f"/api/v1/nodes/{NAME}"


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    """A cluster that lists another node than the one that is looked for."""
    async with fake_api() as running:
        running.objects[KUBE_SYSTEM] = {"metadata": {"uid": WEST}}
        running.objects["/version"] = {"gitVersion": "v1.37.2"}
        running.put({**gpu_node("n0"), "metadata": {"name": "n0", "uid": uid_of("n0")}})
        yield running


@pytest.fixture
async def cluster(fake: FakeApi) -> AsyncIterator[LeasedCluster]:
    """The lease's connection, synced, that was probed once and then is left alone."""
    made = LeasedCluster(
        as_lease(lease("west")),
        fake.endpoint,
        clock=SteppedClock(),
        lists=asyncio.Semaphore(8),
        on_change=lambda _: None,
        times=ProbeTimes(every_seconds=3_600.0, isolation_retry_seconds=3_600.0),
    )
    made.start()
    try:
        await eventually("synced", lambda: made.facts.synced)
        yield made
    finally:
        await made.close()


def node(uid: str) -> dict[str, Any]:
    return {"metadata": {"name": NAME, "uid": uid, "resourceVersion": "1"}}


def looks(cluster: LeasedCluster) -> list[asyncio.Task[None]]:
    return [*cluster._gone._looks]


async def looked_for(cluster: LeasedCluster, uid: NodeUID = UID) -> bool:
    """Look for the node until that is done; return whether it is gone."""
    cluster.look_for(NAME, uid)
    (look,) = looks(cluster)
    await asyncio.wait_for(look, 30)
    return uid in cluster.inventory().gone


async def test_a_node_that_isnt_listed_and_answers_to_its_name_isnt_gone(fake, cluster):
    fake.objects[NODE] = node(UID)

    assert not await looked_for(cluster)


async def test_a_node_that_isnt_found_is_gone(cluster):
    assert await looked_for(cluster)


async def test_a_node_whose_name_another_has_is_gone_and_the_other_isnt(fake, cluster):
    fake.objects[NODE] = node(ANOTHER)

    assert await looked_for(cluster)
    assert ANOTHER not in cluster.inventory().gone


@pytest.mark.parametrize("uid", ["", ANOTHER], ids=["not found", "another of its name"])
async def test_what_another_cluster_says_is_no_word_on_a_node(fake, cluster, uid: str):
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        """Answer as the cluster to which the address leads by now."""
        fake.objects[KUBE_SYSTEM] = {"metadata": {"uid": OTHER}}
        return web.json_response(node(uid)) if uid else failure(404, "NotFound", "")

    fake.objects[NODE] = elsewhere

    assert not await looked_for(cluster)


async def test_another_cluster_than_the_one_that_the_lease_recorded_has_no_word_on_a_node(cluster):
    cluster.renew(as_lease(lease("west") | {"status": {"clusterUID": OTHER}}))

    assert not await looked_for(cluster)


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Cut the connection instead of answering."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize("path", [NODE, KUBE_SYSTEM], ids=["the node", "who it is"])
@pytest.mark.parametrize(
    "answer",
    [
        hang_up,
        answering(500),
        answering(503),
        answering(403, "Forbidden", "no"),
        answering(401, "Unauthorized"),
        answering(429, "TooManyRequests", **{"Retry-After": "0"}),
        saying(b"no JSON"),
    ],
    ids=["cut off", "500", "503", "403", "401", "429", "nonsense"],
)
async def test_an_answer_that_doesnt_come_or_says_nothing_is_no_word_on_a_node(
    fake, cluster, path: str, answer: Callable[..., Any]
):
    fake.objects[path] = answer

    assert not await looked_for(cluster)


async def test_a_cluster_that_is_not_believed_any_more_has_no_word_on_a_node(fake, cluster):
    cluster._probe._learn(identity_error="it is another")

    assert not await looked_for(cluster)


async def test_a_node_that_is_missed_with_each_pass_is_asked_for_once_a_minute(fake, cluster):
    fake.objects[NODE] = answering(503)
    await looked_for(cluster)

    cluster.look_for(NAME, UID)
    assert looks(cluster) == []

    del fake.objects[NODE]
    cluster._clock.seconds += 60.0
    assert await looked_for(cluster)


async def test_of_a_node_that_may_be_asked_for_again_it_isnt_kept_when_that_was_done_last(cluster):
    await looked_for(cluster)
    cluster._clock.seconds += 60.0

    await looked_for(cluster, ANOTHER)

    assert set(cluster._gone._asked) == {ANOTHER}


async def test_a_node_that_is_gone_and_listed_again_isnt_gone(fake, cluster):
    assert await looked_for(cluster)

    fake.put({**gpu_node(NAME), "metadata": {**gpu_node(NAME)["metadata"], "uid": UID}})

    await eventually("there again", lambda: UID not in cluster.inventory().gone)


async def test_of_many_nodes_that_are_missed_at_once_a_few_are_asked_for_at_a_time(fake, cluster):
    """A cluster whose nodes lose a label loses it on all of them."""
    asked, most = 0, 0

    async def not_found(_: web.Request) -> web.StreamResponse:
        nonlocal asked, most
        asked += 1
        most = max(most, asked)
        await asyncio.sleep(0)
        asked -= 1
        return failure(404, "NotFound", "")

    missed = {NodeUID(uid_of(f"m{i}")): NodeName(f"m{i}") for i in range(100)}
    fake.objects |= {f"/api/v1/nodes/{name}": not_found for name in missed.values()}

    for uid, name in missed.items():
        cluster.look_for(name, uid)

    await eventually("all are gone", lambda: cluster.inventory().gone == set(missed))
    assert most <= AT_ONCE
