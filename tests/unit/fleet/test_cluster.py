"""A lease's connection to a cluster that answers, falls silent, refuses, lies about who it is."""

import asyncio

import msgspec
import pytest
from aiohttp import web

from sublet.api.ids import ClusterUID, NodeName
from sublet.book.inventory import Reach, Unfit
from sublet.fleet.probe import ProbeTimes
from sublet.kube.pace import Pace
from sublet.kube.wire import Node
from tests.builders.api import as_lease, lease
from tests.builders.wire import our_node
from tests.harness.fake_api import (
    SteppedClock,
    answering,
    eventually,
    silence,
)
from tests.harness.leased import KUBE_SYSTEM, OTHER, WEST, connected, engaged, node


async def test_an_answer_brings_no_node_in_that_the_selector_doesnt_ask_for(fake):
    async with engaged(fake, lease("west", nodeSelector={"pool": "a"})) as cluster:
        await eventually("read", lambda: cluster.facts.synced)
        before = cluster.strays_touched

        cluster.observe(msgspec.convert(node("n1"), Node))

        assert cluster.node(NodeName("n1")) is None
        assert cluster.strays_touched == before + 1


@pytest.mark.parametrize("by_event", [False, True])
async def test_a_node_that_leaves_the_selector_is_one_that_the_watch_doesnt_show(
    fake, by_event: bool
):
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: fake.open_watches)
        before = cluster.strays_touched
        fake.remove("n0", quietly=not by_event)
        if not by_event:
            fake.send("ERROR", {"code": 410, "reason": "Expired"})
        await eventually("not shown", lambda: not cluster.nodes())

        assert cluster.strays_touched == before + 1


async def test_a_cluster_that_is_upgraded_shows_its_new_version(fake):
    times = ProbeTimes(every_seconds=0.05, isolation_retry_seconds=0.05)
    async with engaged(fake, times=times) as cluster:
        await eventually("seen", lambda: cluster.facts.kubernetes_version == "v1.37.2")
        fake.objects["/version"] = {"gitVersion": "v1.38.0"}

        await eventually("upgraded", lambda: cluster.facts.kubernetes_version == "v1.38.0")


async def test_a_cluster_that_answers_shows_its_identity_version_and_nodes(fake):
    async with engaged(fake) as cluster:
        await eventually("synced", lambda: cluster.facts.synced)

        facts = cluster.facts
        assert (facts.reach, facts.cluster_uid) == (Reach.REACHABLE, WEST)
        assert (facts.kubernetes_version, facts.credentials_checked) == ("v1.37.2", True)
        assert [n.name for n in cluster.inventory().nodes.values()] == ["n0"]
        assert cluster.writable


async def test_a_cluster_whose_clock_is_behind_is_reachable_and_says_by_how_much(fake):
    async def late(_request: web.Request) -> web.Response:
        headers = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
        return web.json_response({"metadata": {"uid": WEST}}, headers=headers)

    fake.objects[KUBE_SYSTEM] = late
    async with engaged(fake) as cluster:
        await eventually("asked", lambda: cluster.facts.tried)

        assert cluster.facts.reach is Reach.REACHABLE
        assert (cluster.facts.clock_ahead_seconds or 0) < -31 * 365 * 86_400


async def test_a_cluster_without_admission_policies_is_too_old(fake):
    async with engaged(fake) as cluster:
        await eventually("judged", lambda: cluster.facts.isolation_ready is not None)

        assert cluster.facts.isolation_ready is False
        assert "Kubernetes 1.30 or newer is needed" in cluster.facts.isolation_message


async def test_a_cluster_that_wasnt_onboarded_says_what_to_do(fake):
    fake.objects["/apis/admissionregistration.k8s.io/v1"] = {"resources": []}
    async with engaged(fake) as cluster:
        await eventually("judged", lambda: cluster.facts.isolation_ready is not None)

        assert "run `sublet onboard` for this cluster again" in cluster.facts.isolation_message


async def test_one_probe_that_fails_is_no_outage_and_three_are(fake):
    async with engaged(fake) as cluster:
        await eventually("synced", lambda: cluster.facts.synced)
        asked = 0

        async def fail_once(request):
            nonlocal asked
            asked += 1
            return await answering(503 if asked == 1 else 200)(request)

        fake.objects[KUBE_SYSTEM] = fail_once
        await eventually("asked", lambda: asked >= 1)
        assert cluster.facts.reach is Reach.REACHABLE

        fake.objects[KUBE_SYSTEM] = silence
        await eventually("unknown", lambda: cluster.facts.reach is Reach.UNKNOWN)
        assert cluster.facts.unreachable_since_ms is not None
        assert [n.name for n in cluster.inventory().nodes.values()] == ["n0"]

        fake.objects[KUBE_SYSTEM] = {"metadata": {"uid": WEST}}
        await eventually("back", lambda: cluster.facts.reach is Reach.REACHABLE)
        assert cluster.facts.unreachable_since_ms is None


async def test_a_credential_that_is_refused_is_said_and_isnt_silence(fake):
    fake.objects[KUBE_SYSTEM] = answering(401, "Unauthorized")
    async with engaged(fake) as cluster:
        await eventually("said", lambda: cluster.facts.credentials_error)

        assert cluster.facts.reach is Reach.UNREACHABLE
        assert "sublet onboard --rotate" in str(cluster.facts.credentials_error)
        assert (fake.lists, cluster.writable) == (0, False)


async def test_a_right_that_is_missing_is_named(fake):
    fake.objects[KUBE_SYSTEM] = answering(403, "Forbidden", "cannot get namespaces")
    async with engaged(fake) as cluster:
        await eventually("said", lambda: cluster.facts.permission_error)

        assert cluster.facts.permission_error == "cannot get namespaces"


@pytest.mark.parametrize(
    ("body", "options", "words"),
    [
        (
            lease("west", clusterRef={"kubeconfigSecretRef": {"name": "w"}, "clusterUID": OTHER}),
            {},
            f"leads to cluster {WEST}, but the lease is pinned to {OTHER}",
        ),
        (
            lease("west", clusterRef={"kubeconfigSecretRef": {"name": "w"}, "clusterUID": WEST})
            | {"status": {"clusterUID": OTHER}},
            {},
            "A cluster that was made anew needs a new lease",
        ),
        (lease("west"), {"hub_uid": ClusterUID(WEST)}, "leads to the hub itself"),
    ],
    ids=["pinned to another", "edited after it was connected to another", "the hub"],
)
async def test_a_cluster_that_isnt_the_leases_is_neither_read_nor_written(
    fake, body, options, words
):
    async with engaged(fake, body, **options) as cluster:
        await eventually("said", lambda: cluster.facts.identity_error)

        assert words in str(cluster.facts.identity_error)
        assert (fake.lists, cluster.writable) == (0, False)


async def test_a_kubeconfig_that_comes_to_lead_elsewhere_shows_nothing_of_there(fake):
    pinned = lease("west", clusterRef={"kubeconfigSecretRef": {"name": "w"}, "clusterUID": WEST})
    async with engaged(fake, pinned) as cluster:
        await eventually("watching", lambda: fake.open_watches)
        fake.objects[KUBE_SYSTEM] = {"metadata": {"uid": OTHER}}
        fake.items = {"stranger": node("stranger")}
        fake.close_watches()
        await eventually("seen", lambda: cluster.facts.identity_error)

        assert [n.name for n in cluster.inventory().nodes.values()] == ["n0"]
        assert (fake.lists, len(fake.watches), cluster.writable) == (1, 1, False)


async def test_a_cluster_that_doesnt_say_who_it_is_is_as_good_as_silent(fake):
    fake.objects[KUBE_SYSTEM] = {"metadata": {"uid": 5}}
    async with engaged(fake) as cluster:
        await eventually("unknown since", lambda: cluster.facts.unreachable_since_ms)

        assert (fake.lists, cluster.writable) == (0, False)


async def test_a_proof_of_isolation_that_hangs_makes_no_cluster_unreachable(fake):
    fake.objects["/apis/admissionregistration.k8s.io/v1"] = silence
    async with engaged(fake) as cluster:
        await eventually("synced", lambda: cluster.facts.synced)

        assert cluster.facts.reach is Reach.REACHABLE
        assert cluster.facts.isolation_ready is None


async def test_a_watch_that_has_failed_for_too_long_counts_for_the_book_at_once(fake, monkeypatch):
    monkeypatch.setattr("sublet.kube.informer.FAILING_SECONDS", 0.2)
    async with engaged(fake) as cluster:
        await eventually("synced", lambda: cluster.inventory().synced)
        fake.next_list.extend([answering(500)] * 50)
        fake.next_watch.extend([answering(500)] * 50)
        fake.close_watches()
        await eventually("in trouble", lambda: cluster.inventory() and not cluster.facts.synced)

        assert not cluster.inventory().synced


async def test_however_our_clock_jumps_a_gpu_that_came_back_is_watched_for_ten_minutes(fake):
    clock = SteppedClock()
    cluster = connected(fake, clock=clock)

    def unfit(gpus: int = 8) -> Unfit | None:
        shown = our_node(as_lease(lease("west")))
        shown.status.allocatable["nvidia.com/gpu"] = str(gpus)
        cluster._take(shown)
        return cluster.inventory().nodes[NodeName("n0")].unfit

    unfit()
    unfit(gpus=7)
    clock.set_back_seconds = -86_400
    seen = [unfit()]
    for clock.set_back_seconds, passed in ((0, 300), (-86_400, 299), (86_400, 0), (0, 1)):
        clock.seconds += passed
        seen.append(unfit())
    await cluster.close()

    assert seen == [*[Unfit.SETTLING] * 4, None]


async def test_of_nodes_that_went_no_doubt_is_kept(fake):
    """A landlord may show garbled books on ever new nodes."""
    cluster = connected(fake)
    shown = msgspec.convert(node("n1"), Node)
    cluster._take(shown)
    cluster.note_doubt(NodeName("n1"), in_doubt=True)

    cluster._delete(shown.metadata)
    cluster.note_doubt(NodeName("n1"), in_doubt=True)  # of a look that began before
    await cluster.close()

    assert not cluster._doubtful


async def test_nodes_that_are_watched_for_a_while_leave_others_their_turns(fake, monkeypatch):
    """Each takes 6 ms, so that at most two of them come between two turns of the neighbour."""
    clock, cluster = SteppedClock(), connected(fake)
    for number in range(300):
        cluster._take(msgspec.convert(node(f"n{number}"), Node))
        cluster._settling.add(NodeName(f"n{number}"))
    cluster._settling_pace = Pace(now=clock.monotonic)
    at_a_stretch, most = 0, 0

    def slow(_: Node) -> None:
        nonlocal at_a_stretch, most
        clock.seconds += 0.006
        at_a_stretch, most = at_a_stretch + 1, max(most, at_a_stretch + 1)

    async def live() -> None:
        nonlocal at_a_stretch
        while True:
            at_a_stretch = 0
            await asyncio.sleep(0)

    monkeypatch.setattr(cluster, "_recount", slow)
    monkeypatch.setattr(cluster, "_follow_nodes", lambda: None)
    neighbour = asyncio.create_task(live())
    await asyncio.sleep(0)
    await cluster._confirmed()
    neighbour.cancel()
    await cluster.close()

    assert clock.seconds > 1_001.7, "all were judged"
    assert most <= 2
