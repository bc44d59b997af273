"""Pods that the job controller tracks: by another owner they would stay after the release for ever, and the node with them.

The controller takes its finalizer off pods without a controller and off those of its own Jobs. What a tenant may do to
a Job, and what controllers do with its pods, goes on as in any cluster.
"""

from typing import Any

import pytest

from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import Caller, Object, Tenancy, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

TRACKED = "batch.kubernetes.io/job-tracking"
NOT_TENANTS = "tenants may not change the owners of a pod that the job controller still tracks"
JOBS_ALONE = "only a Job may take over a pod that the job controller still tracks"
OTHER = "00000000-0000-4000-8000-000000000000"


def job(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """Return a Job whose pod waits for a node that there isn't, so that it is tracked until the Job is gone."""
    pod = plain_pod("x", gpus=0)["spec"]
    pod |= {"restartPolicy": "Never", "nodeSelector": {"there": "isnt"}}
    template = {"metadata": {"labels": labels or {}}, "spec": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }


def owned_by(version: str, kind: str, *, controller: bool = True) -> Object:
    """Return a reference to an owner; a server asks nobody whether there is one."""
    return {
        "apiVersion": version,
        "kind": kind,
        "name": "x",
        "uid": OTHER,
        "controller": controller,
    }


def with_owners(*owners: Object) -> Object:
    return {"metadata": {"ownerReferences": list(owners)}}


class Home:
    """The namespace of a claim, in which its tenant makes Jobs."""

    def __init__(self, tenancy: Tenancy, mallory: Caller) -> None:
        self._tenancy = tenancy
        self._mallory = mallory
        self.name = tenancy.home("wide")
        self.pods = f"/api/v1/namespaces/{self.name}/pods"
        self.jobs = f"/apis/batch/v1/namespaces/{self.name}/jobs"

    async def begins(self, body: Object) -> str:
        """Have the tenant make a Job; return the name of its pod."""
        assert await self._mallory.creates(self.jobs, body) == "accepted"
        name = body["metadata"]["name"]
        return str(wait_for("a pod", lambda: self._pod_of(name)))

    def _pod_of(self, job_name: str) -> str:
        found = self._tenancy.stack.get(
            "east", "pods", "-n", self.name, "-l", f"job-name={job_name}"
        )
        return found["items"][0]["metadata"]["name"] if found["items"] else ""

    async def ends(self, job_name: str, how: str = "Background") -> None:
        """Have the tenant delete a Job."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": how}
        assert await self._mallory.asks("DELETE", f"{self.jobs}/{job_name}", options) == "accepted"

    def meta(self, pod: str) -> Object | None:
        """Return a pod's metadata, None if it is gone."""
        found = self._tenancy.stack.get("east", "pod", "-n", self.name, pod)
        return found["metadata"] if found else None

    def is_let_go(self, pod: str) -> bool:
        """Say whether a pod is there, and is nobody's."""
        meta = self.meta(pod)
        return meta is not None and not meta.get("ownerReferences") and not meta.get("finalizers")

    def owner(self, pod: str) -> str:
        """Return the kind of a pod's controller, and whether the job controller tracks it."""
        meta = self.meta(pod) or {}
        kinds = [o["kind"] for o in meta.get("ownerReferences", ()) if o.get("controller")]
        return " ".join([*kinds, *(["tracked"] if TRACKED in meta.get("finalizers", ()) else [])])

    async def says_to(self, controller: str, pod: str, body: Object) -> str:
        """Return what the server says to one of the cluster's own controllers; nothing comes of it."""
        ask = ("-n", "kube-system", "create", "token", controller)
        token = self._tenancy.stack.kubectl("east", *ask).strip()
        async with self._mallory.api.with_token(token) as api:
            path = f"{self.pods}/{pod}"
            return await Caller(api).asks("PATCH", path, body, kind="merge", dry=True)


@pytest.mark.parametrize(
    "owners",
    [
        [owned_by("v1", "ConfigMap")],
        [owned_by("batch/v1", "Job")],
        [owned_by("v1", "ConfigMap", controller=False)],
        [],
    ],
    ids=["config map", "another Job, which nobody may manage", "no controller", "nobody"],
)
async def test_a_tenant_changes_no_owner_of_a_tracked_pod(tenancy: Tenancy, owners: list[Object]):
    async with tenancy.tenant("wide") as mallory:
        home = Home(tenancy, mallory)
        pod = await home.begins(job("tracked"))
        said = await mallory.merges(f"{home.pods}/{pod}", with_owners(*owners))
        labelled = await mallory.merges(f"{home.pods}/{pod}", {"metadata": {"labels": {"a": "b"}}})
        await home.ends("tracked")

    assert NOT_TENANTS in said
    assert labelled == "accepted"
    wait_for("the pod goes with its Job", lambda: home.meta(pod) is None)


async def test_no_controller_but_a_jobs_takes_a_tracked_pod_over(tenancy: Tenancy):
    """A Job that is deleted as Orphan leaves pods to whoever comes first; a ReplicaSet comes again when they are let go."""
    async with tenancy.tenant("wide") as mallory:
        home = Home(tenancy, mallory)
        pod = await home.begins(job("tracked"))
        said = [
            await home.says_to("replicaset-controller", pod, with_owners(owned_by(version, kind)))
            for version, kind in (("apps/v1", "ReplicaSet"), ("batch/v1", "CronJob"), ("v1", "Job"))
        ]
        adopted = with_owners(owned_by("batch/v1", "Job"), owned_by("v1", "ConfigMap", controller=False))  # fmt: skip
        fine = await home.says_to("job-controller", pod, adopted)
        let_go = await home.says_to("generic-garbage-collector", pod, with_owners())
        await home.ends("tracked")

    assert all(JOBS_ALONE in each for each in said), said
    assert (fine, let_go) == ("accepted", "accepted")
    wait_for("the pod goes with its Job", lambda: home.meta(pod) is None)


async def test_who_takes_the_finalizer_off_takes_the_owners_with_it(tenancy: Tenancy):
    async with tenancy.tenant("wide") as tenant:
        home = Home(tenancy, tenant)
        pod = await home.begins(job("tracked"))
        both = {"metadata": {"ownerReferences": None, "finalizers": None}}
        said = await tenant.asks("PATCH", f"{home.pods}/{pod}", both, kind="merge", dry=True)
        await home.ends("tracked")

    assert said == "accepted"
    wait_for("the pod goes with its Job", lambda: home.meta(pod) is None)


async def test_pods_of_a_job_that_is_deleted_as_orphan_are_let_go_and_taken_over(tenancy: Tenancy):
    labels = {"taken": "over"}
    path = f"/apis/apps/v1/namespaces/{tenancy.home('wide')}/replicasets"
    async with tenancy.tenant("wide") as tenant:
        home = Home(tenancy, tenant)
        body = job("orphans", labels)
        pod = await home.begins(body)
        await home.ends("orphans", "Orphan")
        wait_for("it is let go", lambda: home.is_let_go(pod))
        spec = {"selector": {"matchLabels": labels}, "template": _always(body), "replicas": 1}
        taker = {"metadata": {"name": "taker"}, "spec": spec}
        assert await tenant.creates(path, taker) == "accepted"
        wait_for("it is the ReplicaSet's", lambda: home.owner(pod) == "ReplicaSet")
        assert await tenant.asks("DELETE", f"{path}/taker") == "accepted"

    wait_for("it goes with that", lambda: home.meta(pod) is None)


def _always(body: Object) -> Object:
    template = body["spec"]["template"]
    return {**template, "spec": {**template["spec"], "restartPolicy": "Always"}}


async def test_a_job_adopts_orphans_and_releases_what_it_selects_no_more(tenancy: Tenancy):
    labels = {"an": "orphan"}
    async with tenancy.tenant("wide") as tenant:
        home = Home(tenancy, tenant)
        body = job("adopter", labels, manualSelector=True, selector={"matchLabels": labels})
        orphan = body["spec"]["template"] | {"metadata": {"name": "orphan", "labels": labels}}
        assert await tenant.creates(home.pods, orphan) == "accepted"
        assert await tenant.creates(home.jobs, body) == "accepted"
        wait_for("it is the Job's", lambda: home.owner("orphan") == "Job tracked")
        stray = {"metadata": {"labels": {"an": "other"}}}
        assert await tenant.merges(f"{home.pods}/orphan", stray) == "accepted"
        wait_for("it is let go", lambda: home.is_let_go("orphan"))
        await home.ends("adopter")
        assert await tenant.asks("DELETE", f"{home.pods}/orphan") == "accepted"


async def test_a_job_runs_and_ends(tenancy: Tenancy):
    async with tenancy.tenant("wide") as tenant:
        home = Home(tenancy, tenant)
        body = job("trains")
        del body["spec"]["template"]["spec"]["nodeSelector"]
        pod = await home.begins(body)
        where = ("job", "-n", home.name, "trains")
        wait_for("complete", lambda: tenancy.stack.get("east", *where)["status"].get("succeeded"))
        assert home.owner(pod) == "Job"
        await home.ends("trains")

    wait_for("the pod goes with its Job", lambda: home.meta(pod) is None)


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "wide")
