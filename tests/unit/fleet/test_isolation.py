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
OWNERS, SIZE = (FENCE.replace("operator-fence", x) for x in ("claim-owners", "claim-size"))
"""Policies that no onboarding of a version before the fourth and the fifth knew."""
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


def _is_of(fake: FakeApi, version: int) -> None:
    """Have another version of the onboarding have written all policies."""
    for path in policies_of():
        if noted := fake.objects[path].get("metadata", {}).get("annotations"):
            noted[ONBOARDING] = f"{version}/{noted[DIGEST]}"


def _lose(fake: FakeApi, *policies: str) -> None:
    for policy in policies:
        del fake.objects[policy]
        del fake.objects[policy.replace("policies/", "policybindings/")]


@pytest.mark.parametrize(("version", "lost"), [(1, (OWNERS, SIZE)), (3, (OWNERS, SIZE)), (4, (SIZE,))])  # fmt: skip
async def test_a_policy_that_an_older_onboarding_didnt_know_isnt_missing_there(
    fake: FakeApi, version: int, lost: tuple[str, ...]
):
    _is_of(fake, version)
    _lose(fake, *lost)
    found = await proof(fake)

    assert found.fault == ""
    assert "an older `sublet onboard` wrote them" in found.caveat


@pytest.mark.parametrize(
    ("version", "lost"),
    [(4, OWNERS), (5, SIZE), (ONBOARDING_VERSION + 1, OWNERS), (ONBOARDING_VERSION + 1, SIZE)],
)
async def test_a_policy_that_the_onboarding_knew_is_missing_where_it_isnt(
    fake: FakeApi, version: int, lost: str
):
    _is_of(fake, version)
    _lose(fake, lost)

    assert f"policies/{lost.rsplit('/', 1)[1]} is missing; " in (await proof(fake)).fault


async def test_where_an_older_onboarding_was_each_policy_that_it_knew_must_be(fake: FakeApi):
    _is_of(fake, 3)
    _lose(fake, OWNERS)
    del fake.objects[FENCE]

    assert "sublet-operator-fence is missing; " in (await proof(fake)).fault
