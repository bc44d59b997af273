"""Connections as credentials come, are refused, change and go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sublet.api.ids import LeaseUID, NodeName
from sublet.book.inventory import Reach, Unfit
from sublet.clock import SystemClock
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.credential import Credential
from sublet.fleet.probe import ProbeTimes
from sublet.fleet.registry import REFUSED_RETRY_SECONDS, Fleet
from sublet.kube.session import Endpoint
from tests.builders.api import as_lease, lease, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.fake_api import FakeApi, SteppedClock, answering, eventually, fake_api, silence

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
RIGHTS = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
WEST = as_lease(lease("west"))
UID = LeaseUID(WEST.metadata.uid)
N0 = NodeName("n0")
QUICK = ProbeTimes(every_seconds=0.02, isolation_retry_seconds=0.02)
SECRET_TEXT = b"apiVersion: v1\nkind: Config\nusers: [{name: u, user: {exec: very-secret-text}}]\n"


class Watch(SteppedClock):
    """A wall that stands and a stopwatch that is told; tasks sleep on their own."""


@asynccontextmanager
async def fleet(clock: SystemClock | Watch) -> AsyncIterator[Fleet]:
    made = Fleet(
        clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=(), times=QUICK
    )
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def cluster() -> AsyncIterator[FakeApi]:
    async with fake_api() as fake:
        fake.objects[KUBE_SYSTEM] = {"metadata": {"uid": uid_of("cluster west")}}
        fake.objects["/version"] = {"gitVersion": "v1.37.2"}
        node = gpu_node("n0")
        node["metadata"]["uid"] = uid_of("n0")
        fake.put(node)
        yield fake


def to(fake: FakeApi, version: str = "7") -> Credential:
    """A credential for a cluster; the name of its host tells it from another for the same one."""
    return Credential(endpoint=Endpoint(fake.url, token=lambda: "t"), version=version)


def asked(fake: FakeApi) -> int:
    return len(fake.requests)


def said(made: Fleet) -> Callable[[], object]:
    return lambda: made.facts(UID).credentials_error


async def test_a_cluster_that_accepts_a_credential_is_said_to_by_the_secrets_version():
    async with cluster() as west, fleet(SystemClock()) as made:
        await made.engage(WEST, to(west, "7"))
        assert made.facts(UID).credential_version == ""
        await eventually("accepted", lambda: made.facts(UID).credential_version == "7")

        # a label on the Secret is no other credential: the connection stays
        connection = made.connection(UID)
        await made.engage(WEST, to(west, "8"))
        assert made.facts(UID).credential_version == "8"
        assert made.connection(UID) is connection


async def test_a_refused_credential_is_dropped_at_once_and_its_nodes_are_kept():
    clock = Watch()
    async with cluster() as west, fleet(clock) as made:
        await made.engage(WEST, to(west))
        await eventually("read", lambda: made.facts(UID).synced)

        west.objects[KUBE_SYSTEM] = answering(401, "Unauthorized")
        await eventually("refused", said(made))
        assert made.cluster(UID) is None  # nothing more is asked of it
        await made.engage(WEST, to(west))

        assert made.connection(UID) is None
        assert made.facts(UID).reach is Reach.UNREACHABLE
        assert "doesn't accept the credential" in str(made.facts(UID).credentials_error)
        assert [n.name for n in made.inventories()[UID].nodes.values()] == ["n0"]
        before = asked(west)
        for _ in range(50):
            await made.engage(WEST, to(west))
        assert asked(west) == before


async def test_a_refused_credential_is_tried_again_in_a_minute_and_a_changed_one_at_once():
    clock = Watch()
    async with cluster() as west, cluster() as other, fleet(clock) as made:
        west.objects[KUBE_SYSTEM] = answering(401, "Unauthorized")
        await made.engage(WEST, to(west))
        await eventually("refused", said(made))
        await made.engage(WEST, to(west))
        assert made.due_ms == clock.now_ms() + REFUSED_RETRY_SECONDS * 1_000 + 1

        clock.seconds += REFUSED_RETRY_SECONDS + 1
        await made.engage(WEST, to(west))
        assert made.connection(UID) is not None
        assert "doesn't accept" in str(made.facts(UID).credentials_error)  # until it does

        await made.engage(WEST, to(other, "8"))
        await eventually("accepted", lambda: made.facts(UID).credential_version == "8")
        await made.engage(WEST, to(other, "8"))
        assert made.facts(UID).credentials_error is None
        assert made.due_ms is None


async def test_a_cluster_that_refused_a_credential_and_falls_silent_is_said_to_be_silent():
    clock = Watch()
    async with cluster() as west, fleet(clock) as made:
        west.objects[KUBE_SYSTEM] = answering(401, "Unauthorized")
        await made.engage(WEST, to(west))
        await eventually("refused", said(made))
        await made.engage(WEST, to(west))
        west.objects[KUBE_SYSTEM] = silence

        clock.seconds += REFUSED_RETRY_SECONDS + 1
        await made.engage(WEST, to(west))

        await eventually("silent", lambda: made.facts(UID).reach is Reach.UNKNOWN)
        assert made.facts(UID).unreachable_since_ms is not None
        assert "doesn't accept" in str(made.facts(UID).credentials_error)  # as far as is known


def unfit(made: Fleet) -> object:
    return made.inventories()[UID].nodes["n0"].unfit


def connected(made: Fleet) -> LeasedCluster:
    found = made.connection(UID)
    assert found is not None
    return found


async def test_foreign_pods_that_were_seen_are_known_to_the_next_connection():
    async with cluster() as west, fleet(SystemClock()) as made:
        await made.engage(WEST, to(west))
        await eventually("read", lambda: made.facts(UID).synced)
        before = connected(made)
        before.note_foreign(N0, foreign=True)
        assert unfit(made) is Unfit.FOREIGN_PODS

        await made.engage(as_lease(lease("west", nodeSelector={"pool": "a"})), to(west))
        await eventually("read again", lambda: made.facts(UID).synced)

        assert connected(made) is not before
        assert unfit(made) is Unfit.FOREIGN_PODS


async def test_foreign_pods_in_one_cluster_say_nothing_of_another():
    async with cluster() as west, cluster() as other, fleet(SystemClock()) as made:
        other.objects[KUBE_SYSTEM] = {"metadata": {"uid": uid_of("another cluster")}}
        await made.engage(WEST, to(west))
        await eventually("read", lambda: made.facts(UID).synced)
        connected(made).note_foreign(N0, foreign=True)

        await made.engage(WEST, to(other))
        await eventually("read again", lambda: made.facts(UID).synced)

        assert not connected(made).is_foreign(N0)


async def test_foreign_pods_are_forgotten_with_their_node():
    async with cluster() as west, fleet(SystemClock()) as made:
        await made.engage(WEST, to(west))
        await eventually("read", lambda: made.facts(UID).synced)
        connected(made).note_foreign(N0, foreign=True)

        await eventually("followed", lambda: west.open_watches)
        west.remove("n0")
        await eventually("gone", lambda: not connected(made).nodes())

        assert not connected(made).is_foreign(N0)


async def test_foreign_pods_of_nodes_that_went_between_two_connections_are_forgotten():
    async with cluster() as west, fleet(SystemClock()) as made:
        await made.engage(WEST, to(west))
        await eventually("read", lambda: made.facts(UID).synced)
        connected(made).note_foreign(N0, foreign=True)
        west.remove("n0", quietly=True)

        await made.engage(as_lease(lease("west", nodeSelector={"pool": "a"})), to(west))
        await eventually("read again", lambda: made.facts(UID).synced)

        await eventually("forgotten", lambda: not connected(made).is_foreign(N0))


async def test_a_node_that_isnt_there_has_no_foreign_pods():
    async with cluster() as west, fleet(SystemClock()) as made:
        await made.engage(WEST, to(west))
        await eventually("read", lambda: made.facts(UID).synced)

        connected(made).note_foreign(NodeName("n1"), foreign=True)

        assert not connected(made).is_foreign(NodeName("n1"))


async def test_a_credential_that_is_junk_or_gone_is_said_by_field_and_never_by_value():
    async with cluster() as west, fleet(SystemClock()) as made:
        await made.engage(WEST, to(west))
        await eventually("read", lambda: made.facts(UID).synced)

        await made.engage(WEST, Credential(kubeconfig=SECRET_TEXT))
        assert made.connection(UID) is None
        assert "the kubeconfig is refused: current-context" in str(said(made)())
        assert "very-secret-text" not in str(said(made)())

        await made.engage(WEST, Credential(missing="Secret 'west' isn't there"))
        assert said(made)() == "Secret 'west' isn't there"
        assert [n.name for n in made.inventories()[UID].nodes.values()] == ["n0"]


async def test_a_right_that_is_missing_is_named_and_stops_sales_alone():
    some = {"verbs": ["get", "list", "watch", "patch"], "apiGroups": [""], "resources": ["nodes"]}
    async with cluster() as west, fleet(SystemClock()) as made:
        west.objects[RIGHTS] = {"status": {"resourceRules": [some]}}
        await made.engage(WEST, to(west))
        await eventually("asked", lambda: made.facts(UID).missing_rights)

        assert "create namespaces" in made.facts(UID).missing_rights
        assert "list nodes" not in made.facts(UID).missing_rights
        assert made.cluster(UID) is not None
        await eventually("read", lambda: made.facts(UID).synced)
        assert not made.inventories()[UID].isolation_ready


async def test_a_cluster_that_refuses_a_step_is_looked_at_before_its_time():
    slow = ProbeTimes(every_seconds=60.0, isolation_retry_seconds=0.0)
    async with cluster() as west, fleet(SystemClock()) as made:
        made._times = slow
        await made.engage(WEST, to(west))
        await eventually("read", lambda: made.facts(UID).synced)
        west.objects[KUBE_SYSTEM] = answering(401, "Unauthorized")

        connection = made.connection(UID)
        assert connection is not None
        connection.doubt()
        await eventually("refused", said(made))


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_connection_that_is_dropped_just_as_it_is_doubted_ends(turns: int):
    times = ProbeTimes(every_seconds=30.0, isolation_retry_seconds=0.0)
    async with cluster() as west:
        made = Fleet(
            clock=SystemClock(), on_change=lambda _: None, allow_local=True, hub_servers=(), times=times
        )  # fmt: skip
        await made.engage(WEST, to(west))
        found: Any = made.connection(UID)
        await eventually("its probe waits", lambda: found._probe._doubted._waiters)

        found.doubt()
        for _ in range(turns):
            await asyncio.sleep(0)
        ending = asyncio.create_task(made.disengage(UID))
        _, late = await asyncio.wait({ending}, timeout=5)
        for task in found._tasks if late else ():
            task.cancel()

        assert not late
