"""Leader election on a real API server: one leads, the next follows, who is outdone knows it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from sublet.clock import SystemClock
from sublet.hub.leader import LEASE_NAME, Leadership
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.harness.fake_api import eventually
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE, Stack

pytestmark = pytest.mark.planes

LIFE_SECONDS = 3.0
PATH = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE_NAME}"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = borrow_stack("leader", leased=())
    yield running
    running.stop()


@pytest.fixture
async def hub(stack: Stack) -> AsyncIterator[ApiServer]:
    stack.kubectl("hub", "-n", NAMESPACE, "delete", "lease", LEASE_NAME, "--ignore-not-found")
    endpoint = await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("hub")))
    async with ApiServer(endpoint) as api:
        yield api


@asynccontextmanager
async def candidate(
    hub: ApiServer, name: str, life_seconds: float = LIFE_SECONDS
) -> AsyncIterator[Leadership]:
    leadership = Leadership(
        hub, SystemClock(), namespace=NAMESPACE, identity=name, lease_seconds=life_seconds
    )
    task = asyncio.create_task(leadership.run())
    try:
        yield leadership
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_leads_and_the_other_waits(hub: ApiServer):
    async with candidate(hub, "first") as first:
        await eventually("the first leads", lambda: first.leads)
        async with candidate(hub, "second") as second:
            await asyncio.sleep(LIFE_SECONDS * 1.5)

            assert (first.leads, second.leads) == (True, False)
            assert not first.lost.is_set()


async def test_who_leads_leads_at_every_moment_between_renewals(hub: ApiServer):
    async with candidate(hub, "first") as first:
        await eventually("the first leads", lambda: first.leads)
        for _ in range(150):
            await asyncio.sleep(0.02)
            assert first.leads


async def test_a_lease_that_is_given_up_is_taken_at_once(hub: ApiServer):
    async with candidate(hub, "first", 600) as first:
        await eventually("the first leads", lambda: first.leads)
    await first.give_up()

    async with candidate(hub, "second", 600) as second:
        await eventually("the second leads", lambda: second.leads)


async def test_a_lease_whose_holder_died_is_taken_when_its_life_is_over_on_our_own_clock(
    hub: ApiServer,
):
    async with candidate(hub, "first") as first:
        await eventually("the first leads", lambda: first.leads)

    async with candidate(hub, "second") as second:
        await asyncio.sleep(LIFE_SECONDS / 2)
        assert not second.leads
        await eventually("the second leads", lambda: second.leads)


async def test_who_is_outdone_knows_and_writes_no_more(hub: ApiServer):
    async with candidate(hub, "first") as first:
        await eventually("the first leads", lambda: first.leads)
        operations = [{"op": "add", "path": "/spec/holderIdentity", "value": "somebody"}]
        await hub.patch(PATH, operations)

        await eventually("lost", first.lost.is_set)
        assert not first.leads
