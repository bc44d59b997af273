"""Two leases whose clusters show one UID: the same cluster by one CA, a lie by two."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sublet.api.ids import LeaseUID
from sublet.clock import SystemClock
from sublet.fleet.credential import Credential
from sublet.fleet.probe import ProbeTimes
from sublet.fleet.registry import Fleet
from sublet.kube.session import Endpoint
from tests.builders.api import as_lease, lease, uid_of
from tests.harness.fake_api import FakeApi, eventually, fake_api

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
OLDER = as_lease(lease("older"), creationTimestamp="2026-01-01T00:00:00Z")
NEWER = as_lease(lease("newer"), creationTimestamp="2026-02-01T00:00:00Z")
FIRST, SECOND = LeaseUID(OLDER.metadata.uid), LeaseUID(NEWER.metadata.uid)


@asynccontextmanager
async def reached(fake: FakeApi, first_ca: str, second_ca: str) -> AsyncIterator[Fleet]:
    """Reach one API server for two leases, each believing in a CA."""
    fake.objects[KUBE_SYSTEM] = {"metadata": {"uid": uid_of("cluster")}}
    fake.objects["/version"] = {}
    fleet = Fleet(
        clock=SystemClock(),
        on_change=lambda _: None,
        allow_local=True,
        hub_servers=[],
        times=ProbeTimes(every_seconds=0.05),
    )
    try:
        for each, authority in ((OLDER, first_ca), (NEWER, second_ca)):
            await fleet.engage(each, Credential(endpoint=Endpoint(fake.url, ca_pem=authority)))
        yield fleet
    finally:
        await fleet.close()


async def test_a_cluster_that_copies_the_uid_of_another_isnt_believed():
    async with fake_api() as fake, reached(fake, "one CA", "another CA") as fleet:
        await eventually("said", lambda: fleet.facts(SECOND).identity_error)

        assert "an older lease reaches cluster" in str(fleet.facts(SECOND).identity_error)
        await eventually("the older one is believed", lambda: fleet.cluster(FIRST))
        await eventually("and nothing goes to the other", lambda: fleet.cluster(SECOND) is None)


async def test_two_leases_in_one_cluster_are_both_believed():
    async with fake_api() as fake, reached(fake, "one CA", "one CA") as fleet:
        await eventually("both", lambda: fleet.cluster(FIRST) and fleet.cluster(SECOND))

        assert fleet.facts(SECOND).identity_error is None
