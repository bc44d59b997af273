"""What a lease lets tenants do is tried in its cluster before anything is sold."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from sublet.api.ids import ClaimUID
from sublet.api.lease_terms import PodSecurity, RoleRule, TenantAccess
from sublet.binder import namespace
from sublet.binder.namespace import Home
from sublet.clock import SystemClock
from sublet.fleet.access import asks_of, find_excess
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.isolation import PROBE_NAMESPACE, PROBE_UID
from sublet.fleet.probe import ProbeTimes
from sublet.kube.errors import ServerError
from sublet.kube.session import ApiServer
from tests.builders.api import as_lease, lease, uid_of
from tests.harness.fake_api import FakeApi, answering, eventually, failure, fake_api
from tests.harness.hostile_cluster import policies_of, try_pod

NAMESPACES = "/api/v1/namespaces"
ROLE = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{PROBE_NAMESPACE}/roles/sublet-tenant-extra"
LISTED = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
LOCKING = TenantAccess(capabilities=("IPC_LOCK",))
RDMA = TenantAccess(extra_resources=("rdma/hca",))
TRAINING = TenantAccess(
    role_rules=(RoleRule(api_group="kubeflow.org", resources=("pytorchjobs", "mpijobs")),)
)
TIMES = ProbeTimes(every_seconds=0.05, isolation_retry_seconds=0.05)


class Landlord:
    """What the fence of a cluster allows; all else it refuses in its words."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = set(allowed)
        self.before: set[str] = set()
        """What a policy that was just written anew allows for one answer more."""
        self.dry_runs: list[dict[str, Any]] = []
        self.queries: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Judge a namespace or a role."""
        obj = await request.json()
        self.dry_runs.append(obj)
        self.queries.append(dict(request.query))
        asked = [a for text in obj["metadata"].get("annotations", {}).values() for a in text.split(",")]  # fmt: skip
        asked += [f"{g}/{x}" for r in obj.get("rules", ()) for g in r["apiGroups"] for x in r["resources"]]  # fmt: skip
        allowed, self.before = self.allowed | self.before, set()
        if allowed.issuperset(asked):
            return web.json_response(obj)
        said = "ValidatingAdmissionPolicy 'sublet-operator-fence' denied request: not sold"
        return failure(403, "Forbidden", said)


@pytest.fixture
def landlord() -> Landlord:
    return Landlord()


@pytest.fixture
async def fake(landlord: Landlord) -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        running.objects |= {NAMESPACES: landlord.answer, ROLE: landlord.answer}
        yield running


async def excess(fake: FakeApi, access: TenantAccess) -> str:
    async with ApiServer(fake.endpoint) as api:
        return await find_excess(api, access)


@pytest.mark.parametrize(
    ("access", "options"),
    [
        (LOCKING, "with --capability IPC_LOCK ("),
        (RDMA, "with --extra-resource rdma/hca ("),
        (TRAINING, "with --role-resource kubeflow.org/pytorchjobs --role-resource kubeflow.org/mpijobs ("),
    ],
    ids=["a capability", "an extended resource", "kinds"],
)  # fmt: skip
async def test_what_onboarding_didnt_allow_is_named_with_the_options_that_allow_it(
    fake: FakeApi, access: TenantAccess, options: str
):
    found = await excess(fake, access)

    assert options in found
    assert "or take it out of the lease" in found


async def test_what_onboarding_allowed_is_no_excess(fake: FakeApi, landlord: Landlord):
    landlord.allowed = {"IPC_LOCK", "rdma/hca"}

    assert await excess(fake, LOCKING.model_copy(update={"extra_resources": ("rdma/hca",)})) == ""


async def test_what_is_allowed_beside_it_is_named_since_a_list_replaces_the_one_before(
    fake: FakeApi, landlord: Landlord
):
    landlord.allowed = {"IPC_LOCK"}
    found = await excess(fake, TenantAccess(capabilities=("IPC_LOCK", "SYS_PTRACE")))

    assert "--capability IPC_LOCK --capability SYS_PTRACE (" in found


async def test_a_lease_that_lets_tenants_do_nothing_more_costs_no_request(fake: FakeApi):
    assert await excess(fake, TenantAccess(pod_security=PodSecurity.BASELINE)) == ""
    assert not fake.requests


async def test_nothing_is_written(fake: FakeApi, landlord: Landlord):
    landlord.allowed = {"IPC_LOCK", "kubeflow.org/pytorchjobs", "kubeflow.org/mpijobs"}
    await excess(fake, LOCKING.model_copy(update={"role_rules": TRAINING.role_rules}))

    assert [query["dryRun"] for query in landlord.queries] == ["All", "All"]


@pytest.mark.parametrize("access", [LOCKING, RDMA], ids=["capabilities", "resources"])
async def test_the_namespace_that_is_tried_is_the_one_that_a_claim_gets(
    fake: FakeApi, landlord: Landlord, access: TenantAccess
):
    await excess(fake, access)

    assert landlord.dry_runs == [namespace.namespace(home(access, sequence=2))]


async def test_the_role_that_is_tried_is_the_one_that_a_claim_gets(
    fake: FakeApi, landlord: Landlord
):
    await excess(fake, TRAINING)

    assert (ROLE, landlord.dry_runs[0]) in namespace.contents(home(TRAINING, sequence=1))


def home(access: TenantAccess, sequence: int) -> Home:
    """Return what binding would make of the probe's claim."""
    return Home(ClaimUID(PROBE_UID), sequence, 1, access, "https://west.example", None)


@pytest.mark.parametrize(
    "answer",
    [
        answering(403, "Forbidden", "user sublet cannot create resource namespaces"),
        answering(400, "BadRequest", "admission webhook other does not support dry run"),
        answering(409, "AlreadyExists", "there"),
    ],
    ids=["a right is missing", "somebody's webhook", "it is there"],
)
async def test_what_is_refused_by_something_else_is_no_excess(fake: FakeApi, answer: Any):
    fake.objects[NAMESPACES] = answer

    assert await excess(fake, LOCKING) == ""


async def test_a_server_in_trouble_has_said_nothing(fake: FakeApi):
    fake.objects[NAMESPACES] = answering(503, "Trouble", "later")

    with pytest.raises(ServerError):
        await excess(fake, LOCKING)


def test_egress_and_pod_security_are_nothing_that_onboarding_allows():
    assert asks_of(TenantAccess(pod_security=PodSecurity.BASELINE, denied_cidrs=("1.2.3.0/24",))) == ()  # fmt: skip


@pytest.fixture
async def cluster(fake: FakeApi) -> AsyncIterator[LeasedCluster]:
    """An onboarded cluster whose lease lets tenants lock memory."""
    fake.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": uid_of("west")}}
    fake.objects["/version"] = {}
    fake.objects[LISTED] = versions("1")
    fake.objects |= {**policies_of(), f"{NAMESPACES}/{PROBE_NAMESPACE}/pods": try_pod}
    made = LeasedCluster(
        selling(LOCKING),
        fake.endpoint,
        clock=SystemClock(),
        lists=asyncio.Semaphore(8),
        on_change=lambda _: None,
        times=TIMES,
    )
    made.start()
    yield made
    await made.close()


def versions(version: str) -> dict[str, Any]:
    """Return the list of policies with the fence at a version."""
    fence = {"metadata": {"name": "sublet-operator-fence", "resourceVersion": version}}
    return {"metadata": {}, "items": [fence]}


def selling(access: TenantAccess) -> Any:
    return as_lease(lease("west", tenantAccess=access.model_dump(mode="json", by_alias=True)))


async def test_nothing_is_sold_that_the_cluster_would_refuse(cluster: LeasedCluster):
    await eventually("tried", lambda: cluster.facts.excess)

    assert "--capability IPC_LOCK" in (cluster.facts.excess or "")
    assert not cluster.inventory().isolation_ready
    assert not cluster.inventory().isolation_fault, "claims that are bound there stay apart"


async def test_an_onboarding_that_allows_it_lets_it_be_sold(
    cluster: LeasedCluster, fake: FakeApi, landlord: Landlord
):
    await eventually("tried", lambda: cluster.facts.excess)
    landlord.allowed = {"IPC_LOCK"}
    fake.objects[LISTED] = versions("2")

    await eventually("allowed", lambda: cluster.inventory().isolation_ready)


async def test_an_onboarding_that_allows_less_is_seen_although_it_takes_a_moment_to_act(
    cluster: LeasedCluster, fake: FakeApi, landlord: Landlord, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sublet.fleet.probe.POLICY_ACTS_SECONDS", 0.05)
    landlord.allowed = {"IPC_LOCK"}
    await eventually("allowed", lambda: cluster.inventory().isolation_ready)
    landlord.allowed, landlord.before = set(), {"IPC_LOCK"}
    fake.objects[LISTED] = versions("2")

    await eventually("refused", lambda: cluster.facts.excess)


async def test_a_lease_that_asks_for_more_sells_nothing_before_that_was_tried(
    cluster: LeasedCluster, landlord: Landlord
):
    landlord.allowed = {"IPC_LOCK"}
    await eventually("allowed", lambda: cluster.inventory().isolation_ready)
    more = LOCKING.model_copy(update={"extra_resources": ("rdma/hca",)})
    cluster.renew(selling(more))

    assert not cluster.inventory().isolation_ready
    await eventually("tried", lambda: cluster.facts.excess)
    assert "--extra-resource rdma/hca (" in (cluster.facts.excess or "")


async def test_a_lease_that_changes_otherwise_is_sold_on(
    cluster: LeasedCluster, landlord: Landlord
):
    landlord.allowed = {"IPC_LOCK"}
    await eventually("allowed", lambda: cluster.inventory().isolation_ready)
    cluster.renew(selling(LOCKING.model_copy(update={"denied_cidrs": ("203.0.113.0/24",)})))

    assert cluster.inventory().isolation_ready
