"""When isolation is proven: at first, when a policy was touched, and never believed for long when it can't be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sublet.clock import SystemClock
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.isolation import DIGEST, notes_of
from sublet.fleet.probe import ProbeTimes
from tests.builders.api import as_lease, lease, uid_of
from tests.harness.fake_api import FakeApi, answering, eventually, fake_api
from tests.harness.hostile_cluster import policies_of, try_pod

GROUP = "/apis/admissionregistration.k8s.io/v1"
LISTED = f"{GROUP}/validatingadmissionpolicies"
FENCE = f"{LISTED}/sublet-operator-fence"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
TIMES = ProbeTimes(every_seconds=0.05, isolation_retry_seconds=0.05)


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        running.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": uid_of("west")}}
        running.objects["/version"] = {}
        running.objects |= policies_of()
        running.objects["/api/v1/namespaces/sublet-00000000-0000-0000-0000-000000000000-1/pods"] = try_pod  # fmt: skip
        running.objects[LISTED] = versions("1")
        yield running


def versions(version: str) -> dict[str, Any]:
    """Return the list of policies with the fence at a version."""
    fence = {"metadata": {"name": "sublet-operator-fence", "resourceVersion": version}}
    return {"metadata": {}, "items": [fence]}


@asynccontextmanager
async def proven(fake: FakeApi, times: ProbeTimes = TIMES) -> AsyncIterator[LeasedCluster]:
    cluster = LeasedCluster(
        as_lease(lease("west")),
        fake.endpoint,
        clock=SystemClock(),
        lists=asyncio.Semaphore(8),
        on_change=lambda _: None,
        times=times,
    )
    cluster.start()
    try:
        await eventually("proven", lambda: cluster.facts.is_isolated)
        yield cluster
    finally:
        await cluster.close()


def proofs(fake: FakeApi) -> int:
    return sum(r.path == FENCE for r in fake.requests)


def probes(fake: FakeApi) -> int:
    return sum(r.path == LISTED for r in fake.requests)


async def test_while_nothing_is_touched_nothing_is_proven_anew(fake: FakeApi):
    async with proven(fake):
        before = proofs(fake)
        many = probes(fake) + 5
        await eventually("probed", lambda: probes(fake) >= many)

        assert proofs(fake) == before


async def test_a_policy_that_is_touched_is_looked_at_at_once(fake: FakeApi):
    async with proven(fake) as cluster:
        fake.objects[FENCE] = {**fake.objects[FENCE], "spec": {"matchConditions": []}}
        fake.objects[LISTED] = versions("2")
        await eventually("seen", lambda: cluster.facts.isolation_ready is False)

        assert "sublet-operator-fence was changed since onboarding" in cluster.facts.isolation_message  # fmt: skip
        assert not cluster.inventory().isolation_ready
        assert cluster.inventory().isolation_fault


async def test_policies_of_an_older_onboarding_sell_on_and_are_named(fake: FakeApi):
    async with proven(fake) as cluster:
        notes = {DIGEST: fake.objects[FENCE]["metadata"]["annotations"][DIGEST]}
        fake.objects[FENCE]["metadata"]["annotations"] = notes
        fake.objects[LISTED] = versions("2")
        await eventually("seen", lambda: cluster.facts.isolation_message)

        assert "run `sublet onboard` for this cluster again" in cluster.facts.isolation_message
        assert cluster.inventory().isolation_ready


async def test_a_touched_policy_that_cant_be_looked_at_is_proven_no_more(fake: FakeApi):
    async with proven(fake, ProbeTimes(every_seconds=0.05, isolation_retry_seconds=600)) as cluster:
        fake.objects[FENCE] = answering(500, "Trouble", "later")
        fake.objects[LISTED] = versions("2")
        await eventually("unknown", lambda: cluster.facts.isolation_ready is None)

        assert not cluster.inventory().isolation_ready


async def test_a_right_that_is_missing_is_a_fault_and_says_what_to_do(fake: FakeApi):
    async with proven(fake) as cluster:
        fake.objects[LISTED] = answering(403, "Forbidden", "cannot list resource")
        await eventually("seen", lambda: cluster.facts.isolation_ready is False)

        assert "a right is missing (cannot list resource)" in cluster.facts.isolation_message


async def test_a_right_that_the_cluster_can_name_is_said_once(fake: FakeApi):
    async with proven(fake) as cluster:
        fake.objects[REVIEW] = {"status": {"incomplete": False, "resourceRules": []}}
        fake.objects[LISTED] = answering(403, "Forbidden", "cannot list resource")
        await eventually("seen", lambda: cluster.facts.missing_rights)

        assert cluster.facts.isolation_ready is None
        assert "cannot list" not in cluster.facts.isolation_message
        assert not cluster.inventory().isolation_ready


@pytest.mark.parametrize("status", [500, 429])
async def test_a_proof_that_cant_be_made_again_and_again_is_no_proof(fake: FakeApi, status: int):
    async with proven(fake) as cluster:
        fake.objects[LISTED] = answering(status, "Trouble", "later", **{"Retry-After": "0"})
        await eventually("unknown", lambda: cluster.facts.isolation_ready is None)

        assert "can't be made" in cluster.facts.isolation_message
        assert not cluster.inventory().isolation_ready
        assert not cluster.inventory().isolation_fault, "nobody knows"


async def test_policies_that_are_all_gone_were_touched(fake: FakeApi):
    async with proven(fake):
        before = proofs(fake)
        # an API server's empty list of metadata
        fake.objects[LISTED] = {"metadata": {}, "items": None}
        await eventually("proven anew", lambda: proofs(fake) > before)


async def test_a_policy_too_large_to_be_ours_was_changed(fake: FakeApi):
    async with proven(fake) as cluster:
        spec = {"matchConditions": ["x" * 100_000]}
        notes = notes_of({"spec": spec})
        fake.objects[FENCE] = {"metadata": {"annotations": notes}, "spec": spec}
        fake.objects[LISTED] = versions("2")
        await eventually("seen", lambda: cluster.facts.isolation_ready is False)

        assert "was changed since onboarding" in cluster.facts.isolation_message
