"""What the notes of an onboarding on its policies prove."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sublet.fleet.isolation import DIGEST, ONBOARDING, ONBOARDING_VERSION, Proof, prove_isolation
from sublet.kube.session import ApiServer
from tests.harness.fake_api import FakeApi, fake_api
from tests.harness.hostile_cluster import policies_of, try_pod

FENCE = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sublet-operator-fence"
PODS = "/api/v1/namespaces/sublet-00000000-0000-0000-0000-000000000000-1/pods"
DIGEST_OF_FENCE = policies_of()[FENCE]["metadata"]["annotations"][DIGEST]


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        running.objects |= {**policies_of(), PODS: try_pod}
        yield running


async def proof(fake: FakeApi) -> Proof:
    async with ApiServer(fake.endpoint) as api:
        return await prove_isolation(api)


def notes(fake: FakeApi) -> dict[str, Any]:
    found: dict[str, Any] = fake.objects[FENCE]["metadata"]["annotations"]
    return found


async def test_policies_of_this_versions_onboarding_are_proven(fake: FakeApi):
    assert await proof(fake) == Proof()


@pytest.mark.parametrize(
    "noted",
    [None, "", "x", f"{ONBOARDING_VERSION - 1}/{DIGEST_OF_FENCE}", f"{ONBOARDING_VERSION}/other", "1"],
    ids=["none", "empty", "nonsense", "older", "of what an older onboarding wrote over", "without digest"],
)  # fmt: skip
async def test_one_policy_of_an_older_onboarding_holds_and_is_to_be_written_anew(
    fake: FakeApi, noted: str | None
):
    notes(fake)[ONBOARDING] = noted
    if noted is None:
        del notes(fake)[ONBOARDING]
    found = await proof(fake)

    assert found.fault == ""
    assert "an older `sublet onboard` wrote them" in found.caveat
    assert "run `sublet onboard` for this cluster again" in found.caveat


async def test_policies_of_a_newer_onboarding_are_proven(fake: FakeApi):
    notes(fake)[ONBOARDING] = f"{ONBOARDING_VERSION + 1}/{DIGEST_OF_FENCE}"

    assert await proof(fake) == Proof()


async def test_what_is_missing_is_said_before_what_is_older(fake: FakeApi):
    del notes(fake)[ONBOARDING]
    del fake.objects[FENCE.replace("fence", "nodes")]
    found = await proof(fake)

    assert found.fault.startswith("validatingadmissionpolicies/sublet-operator-nodes is missing; ")
    assert found.caveat == ""
