"""Pods and Jobs of any size: a store takes 1.5 MiB of an object, and a pod that fills it can't be deleted any more.

A deletion writes its time into the pod, a kubelet the last status, and the job controller into the Job which pods it has counted:
a tenant may leave none of them without room.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sublet.kube.errors import ApiError
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import Caller, Object, Tenancy, labels, plain_pod, runs
from tests.integration.isolation.test_owners import job
from tests.integration.isolation.test_pods import container

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

TOO_LARGE = "metadata and spec may have 512 KiB together as they are written out, not "
TOO_MANY = "a pod may have 100 containers, 100 readiness gates and 100 supplemental groups"
KIB = 1024


def pod_of(name: str, **spec: Any) -> Object:
    pod = plain_pod(name, gpus=0)
    pod["spec"].update(spec)
    return pod


def variables(number: int, kib: int) -> list[Object]:
    """Return variables that have so many KiB together."""
    return [{"name": f"V{i}", "value": "x" * (kib * KIB // number)} for i in range(number)]


async def _padded(mallory: Caller, path: str) -> str:
    """Put labels on an object until not one more is taken; returns what is said of that."""
    number, step, said = 0, 512, ""
    while step:
        said = await mallory.merges(path, labels(step, number))
        if said == "accepted":
            number += step
        else:
            step //= 2
    return said


def is_empty(tenancy: Tenancy) -> bool:
    """Say whether no pod is left in the claim's namespace."""
    return not tenancy.stack.get("east", "pods", "-n", tenancy.home("wide"))["items"]


async def test_no_tenant_pads_a_pod_until_it_cant_be_deleted(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    async with tenancy.tenant("wide") as mallory:
        for name in ("first", "padded", "last"):
            assert await mallory.creates(path, pod_of(name)) == "accepted"
        said = await _padded(mallory, f"{path}/padded")
        ended = await mallory.asks("DELETE", path)

    assert TOO_LARGE in said
    assert ended == "accepted"
    wait_for("no pod is left", lambda: is_empty(tenancy))


async def test_no_tenant_pads_a_job_until_its_pods_cant_be_counted(tenancy: Tenancy):
    path = f"/apis/batch/v1/namespaces/{tenancy.home('wide')}/jobs"
    large = job("large", {"a": "b"})
    large["spec"]["template"]["spec"]["containers"][0]["env"] = variables(4, 600)
    async with tenancy.tenant("wide") as mallory:
        made = await mallory.creates(path, large)
        assert await mallory.creates(path, job("padded")) == "accepted"
        said = await _padded(mallory, f"{path}/padded")
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        assert await mallory.asks("DELETE", f"{path}/padded", options) == "accepted"

    assert TOO_LARGE in made
    assert TOO_LARGE in said
    wait_for("no pod is left", lambda: is_empty(tenancy))


def _by_name(**meta: Any) -> Callable[[], Object]:
    return lambda: {**pod_of("large"), "metadata": {"name": "large", **meta}}


LARGE: dict[str, Callable[[], Object]] = {
    "labels": _by_name(**labels(1_400)["metadata"]),
    "finalizers and annotations": _by_name(
        finalizers=["orphan"] * 30_000, annotations={"a": "x" * 250 * KIB}
    ),
    "owners": _by_name(
        ownerReferences=[
            {"apiVersion": "v1", "kind": "Pod", "name": "x" * 250, "uid": f"{i}"} for i in range(1_900)
        ]
    ),
    "env": lambda: pod_of("large", **container(env=variables(4, 513))),
    "args": lambda: pod_of("large", **container(args=["x" * 513 * KIB])),
    "characters of three bytes": lambda: pod_of("large", **container(args=["€" * 100 * KIB, "x" * 213 * KIB])),
    "command": lambda: pod_of("large", **container(command=["x"] * 120_000)),
    "volumes": lambda: pod_of("large", volumes=[{"name": f"v{i}", "emptyDir": {}} for i in range(18_000)]),
    "aliases of hosts": lambda: pod_of("large", hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a" * 60] * 9_000}]),
    "tolerations": lambda: pod_of("large", tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": i} for i in range(6_000)]),
    "gates": lambda: pod_of("large", schedulingGates=[{"name": f"a.dev/{'g' * 50}{i}"} for i in range(8_000)]),
}  # fmt: skip


@pytest.mark.parametrize("what", LARGE)
async def test_no_pod_is_too_large_from_the_start(tenancy: Tenancy, what: str):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    async with tenancy.tenant("wide") as mallory:
        said = await mallory.creates(path, LARGE[what](), dry=True)

    assert said.startswith("403"), said[:1_000]
    assert TOO_LARGE in said


def _containers(number: int) -> list[Object]:
    return [{"name": f"c{i}", "image": "i"} for i in range(number)]


@pytest.mark.parametrize(
    "many",
    [
        lambda number: {"containers": _containers(number)},
        lambda number: {"initContainers": _containers(number - 1)},
        lambda number: {"readinessGates": [{"conditionType": f"a.dev/{i}"} for i in range(number)]},
        lambda number: {"securityContext": {"supplementalGroups": [*range(1, number + 1)]}},
    ],
    ids=["containers", "init containers", "readiness gates", "groups"],
)
async def test_no_pod_has_so_many_parts_that_their_status_fills_the_store(tenancy: Tenancy, many):
    """A kubelet writes something of each into the status: of a gate a sentence, of each container all groups."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    async with tenancy.tenant("wide") as mallory:
        said = await mallory.creates(path, pod_of("many", **many(101)), dry=True)
        fine = await mallory.creates(path, pod_of("many", **many(100)), dry=True)

    assert TOO_MANY in said
    assert fine == "accepted"


async def test_a_pod_grows_too_large_by_no_container_that_is_added(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    added = {"name": "e", "image": "e", "env": variables(4, 513)}
    async with tenancy.tenant("wide") as mallory:
        assert (
            await mallory.creates(path, pod_of("grows", containers=_containers(99))) == "accepted"
        )
        said = await mallory.merges(f"{path}/grows/ephemeralcontainers", {"spec": {"ephemeralContainers": [added]}})  # fmt: skip
        many = await mallory.merges(f"{path}/grows/ephemeralcontainers", {"spec": {"ephemeralContainers": [
            {"name": f"e{i}", "image": "e"} for i in range(2)
        ]}})  # fmt: skip
        assert await mallory.asks("DELETE", f"{path}/grows") == "accepted"

    assert TOO_LARGE in said
    assert TOO_MANY in many


async def test_no_pod_grows_by_what_is_noted_of_ever_more_writers(tenancy: Tenancy):
    """A server keeps what each writer by server-side apply has written; of those there may be any number."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "noted", **labels(100)["metadata"]}}  # fmt: skip
    said = "accepted"
    async with tenancy.tenant("wide") as mallory:
        assert await mallory.creates(path, pod_of("noted")) == "accepted"
        for writer in range(40):
            said = await _applied(mallory, f"{path}/noted", body, f"writer-{writer}")
            if said != "accepted":
                break
        assert await mallory.asks("DELETE", f"{path}/noted") == "accepted"

    assert TOO_LARGE in said


async def _applied(caller: Caller, path: str, body: Object, writer: str) -> str:
    try:
        await caller.api.request(
            "PATCH",
            path,
            params={"fieldManager": writer, "force": "true"},
            content_type="application/apply-patch+yaml",
            body=json.dumps(body).encode(),
        )
    except ApiError as error:
        return f"{error.status} {error.message}"
    return "accepted"


async def test_a_large_pod_of_honest_work_is_made_and_labelled(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    env = [*variables(200, 50), {"name": "CONFIG", "value": "é" * 16 * KIB}]
    pod = pod_of("honest", **container(env=env, args=["--config", "x" * 64 * KIB]))
    pod["spec"]["containers"] += _containers(8)
    sidecar = json.dumps({"initContainers": ["istio-init"], "containers": ["istio-proxy"], "volumes": ["istio-envoy"] * 500})  # fmt: skip
    pod["metadata"]["annotations"] = {
        "sidecar.istio.io/status": sidecar,
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(pod["spec"]),
    }
    async with tenancy.tenant("wide") as tenant:
        made = await tenant.creates(path, pod)
        labelled = await tenant.merges(f"{path}/honest", {"metadata": {"labels": {"run": "7"}}})
        assert await tenant.asks("DELETE", f"{path}/honest") == "accepted"

    assert (made, labelled) == ("accepted", "accepted")


async def test_of_a_pod_that_is_too_large_already_all_may_be_done_that_lets_it_go(
    tenancy: Tenancy,
):
    """One from before this policy, or one that a landlord's own tool has labelled."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    patch = ("-n", tenancy.home("wide"), "patch", "pod", "old", "--type=merge", "--patch-file=/dev/stdin")  # fmt: skip
    async with tenancy.tenant("wide") as tenant:
        assert await tenant.creates(path, pod_of("old")) == "accepted"
        tenancy.stack.kubectl("east", *patch, given=json.dumps(labels(1_400)))
        more = await tenant.merges(f"{path}/old", labels(1, 1_400))
        less = await tenant.merges(f"{path}/old", {"metadata": {"labels": dict.fromkeys(labels(100)["metadata"]["labels"])}})  # fmt: skip
        others = tenancy.stack.kubectl("east", *patch, given=json.dumps(labels(1, 1_400)), check=False)  # fmt: skip
        assert await tenant.asks("DELETE", f"{path}/old") == "accepted"

    assert TOO_LARGE in more
    assert less == "accepted"
    assert "pod/old patched" in others


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "wide")
