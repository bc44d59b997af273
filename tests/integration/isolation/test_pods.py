"""Pods by which a tenant would come to others' GPUs or to the node: tried with the kubeconfig that it was given.

Each attack is the tenant's plain pod with one thing changed, and the plain pod itself is accepted beside it. On east the
namespace's Pod Security level is `privileged`, since a capability is sold there, so the policy alone refuses; on west
Pod Security answers first.
"""

import json
from copy import deepcopy
from typing import Any

import pytest

from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import Object, Tenancy, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

Change = dict[str, Any]
EVERYTHING = "a toleration without a key is refused"
VISIBLE = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}
VOID = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
OFF = [{"name": "NVIDIA_IMEX_CHANNELS", "value": "void"}, *({"name": f"NVIDIA_{x}", "value": "disabled"} for x in ("GDS", "GDRCOPY", "MOFED", "NVSWITCH"))]  # fmt: skip
"""What nvidia-container-toolkit reads beside it, in every container that has a GPU."""
CPUS = {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}  # fmt: skip
ONLY_OFF = "may only be off"
BY_A_NOTE = "annotations by which a node's runtime or its plugins give devices are not allowed"
NOTES = dict.fromkeys((
    "k8s.v1.cni.cncf.io/network-status", "cni.projectcalico.org/podIP", "k8s.ovn.org/pod-networks", "ovn.kubernetes.io/allocated",
    "kubernetes.io/limit-ranger", "kubectl.kubernetes.io/restartedAt", "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "openshift.io/scc", "notcdi.k8s.io/x", "xnri.io/x", "example.com/cdi.k8s.io", "note",
), "x")  # fmt: skip
"""Those that the rule on devices must let pass: what others write on pods that run, and what only looks like them."""
SELECTOR = "pods of this namespace need nodeSelector claim.sublet.dev/"
OTHER = "00000000-0000-4000-8000-000000000000"


def container(**fields: Any) -> Change:
    """Return a pod's spec whose only container has these fields, too."""
    plain = plain_pod("x")["spec"]["containers"][0]
    return {"containers": [{**plain, **fields}]}


def secure(**fields: Any) -> Change:
    return container(securityContext=fields)


TOLERATIONS = [
    ({"tolerations": [{"operator": "Exists"}]}, EVERYTHING),
    ({"tolerations": [{"operator": "Exists", "effect": "NoSchedule"}]}, EVERYTHING),
    ({"tolerations": [{"key": "team", "operator": "Exists"}]}, "may be tolerated"),
    ({"tolerations": [{"key": "sublet.dev/leaving", "operator": "Exists"}]}, "may be tolerated"),
    ({"tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]}, "may be tolerated"),
]  # fmt: skip
ELSEWHERE: list[tuple[Change, str]] = [
    ({"nodeName": "e1"}, "spec.nodeName may not be set"),
    ({"schedulerName": "mine"}, "only the default scheduler is allowed"),
    ({"resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}]}, "resource claims are not allowed"),
    ({"runtimeClassName": "nvidia-legacy"}, "runtime class"),
    ({"priorityClassName": "landlords"}, "priority class"),
    ({"terminationGracePeriodSeconds": 315_360_000}, "terminationGracePeriodSeconds may be 600 at most"),
]  # fmt: skip
DEVICES = [
    (container(env=[VISIBLE]), ONLY_OFF),
    (container(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]), ONLY_OFF),
    (container(envFrom=[{"prefix": "NVIDIA_", "configMapRef": {"name": "c"}}]), "this envFrom prefix could build"),
    (container(envFrom=[{"prefix": "NVIDIA_MO", "configMapRef": {"name": "c"}}]), "this envFrom prefix could build"),
    ({"initContainers": [{"name": "i", "image": "i", "env": [VISIBLE]}]}, ONLY_OFF),
    (container(env=[{"name": "NVIDIA_IMEX_CHANNELS", "value": "0,1,2"}]), ONLY_OFF),
    (container(env=[{"name": "NVIDIA_MOFED", "value": "enabled"}]), ONLY_OFF),
    (container(env=[{"name": "NVIDIA_NVSWITCH", "value": "enabled"}]), ONLY_OFF),
    (container(env=[{"name": "NVIDIA_GDS", "value": "enabled"}]), ONLY_OFF),
    (container(env=[{"name": "NVIDIA_GDRCOPY", "value": "enabled"}]), ONLY_OFF),
    ({"initContainers": [{"name": "i", "image": "i", "env": [{"name": "NVIDIA_MOFED", "value": "enabled"}]}]}, ONLY_OFF),
    (container(resources={"limits": {"nvidia.com/mig-1g.10gb": "1"}}), "the only extended resources here"),
    (container(resources={"limits": {"example.com/nic": "1"}}), "the only extended resources here"),
]  # fmt: skip
HOST = [
    (secure(privileged=True), "privileged containers are not allowed"),
    ({"hostNetwork": True}, "host namespaces are not allowed"),
    ({"hostPID": True}, "host namespaces are not allowed"),
    ({"hostIPC": True}, "host namespaces are not allowed"),
    ({"volumes": [{"name": "v", "hostPath": {"path": "/var/lib/kubelet"}}]}, "hostPath volumes are not allowed"),
    ({"volumes": [{"name": "v", "hostPath": {"path": "/dev/nvidia0"}}]}, "hostPath volumes are not allowed"),
    ({"volumes": [{"name": "v", "nfs": {"server": "10.0.0.5", "path": "/"}}]}, "this kind of volume is not allowed"),
    ({"volumes": [{"name": "v", "iscsi": {"targetPortal": "10.0.0.5:3260", "iqn": "iqn.2001-04.dev.sublet:disk", "lun": 0}}]}, "this kind of volume is not allowed"),
    (secure(capabilities={"add": ["SYS_ADMIN"]}), "the only capabilities here"),
    (secure(seccompProfile={"type": "Unconfined"}), "unconfined seccomp"),
    ({**secure(procMount="Unmasked"), "hostUsers": False}, "procMount is not allowed"),
    (container(ports=[{"containerPort": 80, "hostPort": 80}]), "host ports are not allowed"),
    ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "sysctl"),
    ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "unconfined seccomp"),
    ({"initContainers": [{"name": "i", "image": "i", "securityContext": {"privileged": True}}]}, "privileged containers are not allowed"),
    (secure(appArmorProfile={"type": "Unconfined"}), "AppArmor"),
    (secure(seLinuxOptions={"user": "system_u"}), "SELinux options"),
    (secure(seLinuxOptions={"role": "system_r"}), "SELinux options"),
    (secure(seLinuxOptions={"type": "spc_t"}), "SELinux options"),
    *((container(**{probe: {how: {"host": "169.254.169.254", "port": 80}}}), "may not name a host")
      for probe in ("livenessProbe", "readinessProbe", "startupProbe") for how in ("tcpSocket", "httpGet")),
    *((container(lifecycle={hook: {"httpGet": {"host": "169.254.169.254", "port": 80}}}), "may not name a host") for hook in ("postStart", "preStop")),
]  # fmt: skip
TERM = {"topologyKey": "kubernetes.io/os", "labelSelector": {}}


def near(kind: str, **term: Any) -> Change:
    """Return an affinity that the scheduler must keep."""
    return {
        "affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [{**TERM, **term}]}}
    }


def rather(kind: str, **term: Any) -> Change:
    """Return one that it would like to keep."""
    weighted = {"weight": 1, "podAffinityTerm": {**TERM, **term}}
    return {"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]}}}


STRANGERS = "affinity to pods of other namespaces"
ELSEWHERES: list[Change] = [
    {"namespaceSelector": {}},
    {"namespaceSelector": {"matchLabels": {"sublet.dev/claim": OTHER}}},
    {"namespaces": ["kube-system"]},
]
NEIGHBOURS = [
    (each(kind, **term), STRANGERS)
    for each in (near, rather)
    for kind in ("podAffinity", "podAntiAffinity")
    for term in ELSEWHERES
]
ATTACKS = [*TOLERATIONS, *ELSEWHERE, *DEVICES, *HOST]


def changed(change: Change) -> Object:
    pod = plain_pod("attack")
    pod["spec"].update(deepcopy(change))
    return pod


async def refusal(tenancy: Tenancy, claim: str, pod: Object) -> str:
    """Return what the tenant is told of an attack; the same pod without it is accepted."""
    path = f"/api/v1/namespaces/{tenancy.home(claim)}/pods"
    async with tenancy.tenant(claim) as mallory:
        said = await mallory.creates(path, pod)
        assert await mallory.creates(path, plain_pod("attack"), dry=True) == "accepted"
    return said


async def _refused_with(tenancy: Tenancy, change: Change, words: str) -> None:
    said = await refusal(tenancy, "wide", changed(change))
    assert said.startswith("403"), said
    assert words in said


@pytest.mark.parametrize(("change", "words"), TOLERATIONS)
async def test_no_pod_tolerates_more_than_its_own_pools_taint(tenancy: Tenancy, change, words):
    await _refused_with(tenancy, change, words)


@pytest.mark.parametrize(("change", "words"), ELSEWHERE)
async def test_no_pod_chooses_its_node_its_scheduler_or_how_long_it_stays(
    tenancy: Tenancy, change, words
):
    await _refused_with(tenancy, change, words)


@pytest.mark.parametrize(("change", "words"), DEVICES)
async def test_no_pod_asks_for_devices_past_the_device_plugin(tenancy: Tenancy, change, words):
    await _refused_with(tenancy, change, words)


@pytest.mark.parametrize(("change", "words"), HOST)
async def test_no_pod_reaches_the_node_beneath_it(tenancy: Tenancy, change, words):
    await _refused_with(tenancy, change, words)


@pytest.mark.parametrize(("change", "words"), NEIGHBOURS)
async def test_no_pod_keeps_others_from_being_scheduled_or_asks_for_them(
    tenancy: Tenancy, change, words
):
    await _refused_with(tenancy, change, words)


async def test_a_pod_keeps_away_from_its_own_namespaces_pods(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    async with tenancy.tenant("wide") as tenant:
        for change in (
            near("podAntiAffinity"),
            rather("podAffinity", namespaces=[tenancy.home("wide")]),
        ):
            assert await tenant.creates(path, changed(change), dry=True) == "accepted"


@pytest.mark.parametrize("change", [secure(privileged=True), {"hostPID": True}, *[c for c, _ in HOST[4:6]]])  # fmt: skip
async def test_where_no_capability_is_sold_pod_security_refuses_too(tenancy: Tenancy, change):
    said = await refusal(tenancy, "work", changed(change))

    assert 'violates PodSecurity "restricted:latest"' in said


async def test_no_pod_selects_the_neighbours_nodes(tenancy: Tenancy):
    """A mutating policy adds the own selector, so the pod is pinned to nodes that no other claim is on."""
    neighbour = {f"claim.sublet.dev/{tenancy.uid('theirs')}": "true"}
    path = f"/api/v1/namespaces/{tenancy.home('work')}/pods"
    pod = changed({"nodeSelector": neighbour})
    async with tenancy.tenant("work") as mallory:
        made = await mallory.api.create(path, pod, dry_run=True)

    assert made["spec"]["nodeSelector"].keys() == {*neighbour, f"claim.sublet.dev/{tenancy.uid('work')}"}  # fmt: skip
    assert tenancy.nodes("work").isdisjoint(tenancy.nodes("theirs"))


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"finalizers": ["mine.dev/hold"]}, "this finalizer is not allowed on pods"),
        ({"finalizers": ["batch.kubernetes.io/job-tracking"]}, "this finalizer is the job controller's own"),
        ({"finalizers": ["batch.kubernetes.io/job-tracking"], "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "none", "uid": OTHER, "controller": True}
        ]}, "this finalizer is the job controller's own"),
        ({"annotations": {"container.apparmor.security.beta.kubernetes.io/main": "unconfined"}}, "AppArmor"),
    ],
)  # fmt: skip
async def test_no_pod_holds_its_node_or_loosens_its_fence_by_its_metadata(
    tenancy: Tenancy, meta, words
):
    pod = plain_pod("attack")
    pod["metadata"].update(meta)

    assert words in await refusal(tenancy, "wide", pod)


@pytest.mark.parametrize(
    "key",
    [
        "cdi.k8s.io/gpu", "nvidia.cdi.k8s.io/pod", "nvidia.cdi.k8s.io/container.main", "nvidia.cdi.k8s.io",
        "devices.nri.containerd.io/pod", "devices.nri.io/container.main", "devices.nri.io", "devices.nri.io.main",
        "devices.noderesource.dev", "cdi-devices.noderesource.dev/container.main", "mounts.noderesource.dev/pod",
        "io.kubernetes.cri-o.Devices", "io.kubernetes.cri-o.UnifiedCgroup/main", "devices.crio.io",
        "seccomp-profile.kubernetes.cri-o.io/POD",
    ],
)  # fmt: skip
async def test_no_pod_asks_a_nodes_runtime_or_its_plugins_for_devices(tenancy: Tenancy, key: str):
    """Toolkits, CDI, NRI plugins and CRI-O give what these ask for, past the device plugin and the quota."""
    pod = plain_pod("attack")
    pod["metadata"]["annotations"] = {key: "nvidia.com/gpu=0"}
    said = await refusal(tenancy, "wide", pod)

    assert said.startswith("403"), said
    assert BY_A_NOTE in said


async def test_what_people_controllers_and_network_plugins_note_on_pods_is_nobodys_device(
    tenancy: Tenancy,
):
    """Updates are judged, too: a plugin whose note is refused starts no pod."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    async with tenancy.tenant("wide") as tenant:
        await tenant.api.create(path, plain_pod("noted", gpus=0))
        said = await tenant.merges(f"{path}/noted", {"metadata": {"annotations": NOTES}})
        assert await tenant.asks("DELETE", f"{path}/noted") == "accepted"

    assert said == "accepted"


@pytest.mark.parametrize("owners", [[], [("v1", "Job", True)], [("batch/v1", "CronJob", True)], [("batch/v1", "Job", False)]])  # fmt: skip
def test_a_finalizer_of_jobs_is_on_no_pod_but_a_jobs_whoever_makes_it(tenancy: Tenancy, owners):
    """A controller made it, whose name is anybody's but the tenant's."""

    def said(*owned: tuple[str, str, bool]) -> str:
        pod = plain_pod("attack")
        refs = [{"apiVersion": v, "kind": k, "name": "j", "uid": OTHER, "controller": c} for v, k, c in owned]  # fmt: skip
        pod["metadata"] |= {"finalizers": ["batch.kubernetes.io/job-tracking"], "ownerReferences": refs}  # fmt: skip
        create = ("-n", tenancy.home("wide"), "create", "--dry-run=server", "-f", "-")
        return tenancy.stack.kubectl("east", *create, given=json.dumps(pod), check=False)

    assert "this finalizer is the job controller's own" in said(*owners)
    assert "created" in said(("batch/v1", "Job", True))


async def test_a_pod_that_runs_gains_nothing_by_a_change(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    async with tenancy.tenant("wide") as mallory:
        made = await mallory.api.create(path, plain_pod("runs", gpus=0))
        tolerations = [*made["spec"]["tolerations"], {"operator": "Exists"}]
        said = [
            await mallory.merges(f"{path}/runs", {"spec": {"tolerations": tolerations}}),
            await mallory.merges(f"{path}/runs", {"metadata": {"finalizers": ["mine.dev/hold"]}}),
            await mallory.merges(f"{path}/runs", {"metadata": {"annotations": {"nvidia.cdi.k8s.io/container.main": "nvidia.com/gpu=0"}}}),
            *[
                await mallory.merges(
                    f"{path}/runs/ephemeralcontainers",
                    {"spec": {"ephemeralContainers": [{"name": "e", "image": "e", "env": [each]}]}},
                )
                for each in (VISIBLE, {"name": "NVIDIA_MOFED", "value": "enabled"})
            ],
        ]  # fmt: skip
        fine = {"spec": {"ephemeralContainers": [{"name": "e", "image": "e"}]}}
        assert await mallory.merges(f"{path}/runs/ephemeralcontainers", fine) == "accepted"
        added = (await mallory.api.get(f"{path}/runs"))["spec"]["ephemeralContainers"]
        assert await mallory.asks("DELETE", f"{path}/runs") == "accepted"

    words = (EVERYTHING, "this finalizer", BY_A_NOTE, ONLY_OFF, ONLY_OFF)
    assert all(word in each for word, each in zip(words, said, strict=True)), said
    assert VOID in added[0]["env"]


@pytest.mark.parametrize("key", ["NVIDIA_VISIBLE_DEVICES", "NVIDIA_IMEX_CHANNELS", "NVIDIA_MOFED"])
@pytest.mark.parametrize(("kind", "field"), [("configmaps", "data"), ("secrets", "stringData")])
async def test_no_config_holds_a_variable_that_opens_devices(tenancy: Tenancy, kind, field, key):
    path = f"/api/v1/namespaces/{tenancy.home('work')}/{kind}"
    async with tenancy.tenant("work") as mallory:
        bad = {"metadata": {"name": "c"}, field: {key: "all"}}
        good = {"metadata": {"name": "c"}, field: {"LR": "0.1"}}

        assert "variables that open devices are not allowed as keys" in await mallory.creates(
            path, bad
        )
        assert await mallory.creates(path, good, dry=True) == "accepted"


@pytest.mark.parametrize("limits", [{}, {"nvidia.com/gpu": "0"}])
async def test_a_container_without_a_gpu_sees_none(tenancy: Tenancy, limits):
    """What the image's own environment says is unseen here, so the variable is set over it."""
    path = f"/api/v1/namespaces/{tenancy.home('work')}/pods"
    pod = changed(container(resources={"limits": limits}))
    async with tenancy.tenant("work") as mallory:
        made = await mallory.api.create(path, pod, dry_run=True)

    assert VOID in made["spec"]["containers"][0]["env"]


@pytest.mark.parametrize("env", [None, [{"name": "LR", "value": "0.1"}, CPUS, *OFF[:2]], OFF])
async def test_a_container_with_a_gpu_has_no_other_device_by_its_image(tenancy: Tenancy, env):
    """The variable that the device plugin sets is left to it."""
    path = f"/api/v1/namespaces/{tenancy.home('work')}/pods"
    pod = changed(container(**({} if env is None else {"env": env})))
    pod["spec"]["initContainers"] = [{"name": "i", "image": "i"}]
    async with tenancy.tenant("work") as mallory:
        made = await mallory.api.create(path, pod, dry_run=True)

    given = [e for e in env or [] if e not in OFF]
    main = made["spec"]["containers"][0]["env"]
    assert sorted(main, key=str) == sorted([*given, *OFF], key=str)
    assert made["spec"]["initContainers"][0]["env"] == [VOID]


@pytest.mark.parametrize(
    ("resource", "answer"),
    [
        ("rdma/hca", "accepted"),
        ("rdma/shared", "the only extended resources here"),
        ("net.example/a", "accepted"),
        ("net.example.org/a", "the only extended resources here"),
    ],
)
async def test_what_a_lease_sells_beside_gpus_is_given_and_nothing_that_begins_like_it(
    tenancy: Tenancy, resource: str, answer: str
):
    """Its own device plugin gives it, by a resource in the limits; of `net.example/*` whatever that domain has."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    pod = changed(container(resources={"limits": {"nvidia.com/gpu": "1", resource: "1"}}))
    async with tenancy.tenant("wide") as mallory:
        assert answer in await mallory.creates(path, pod, dry=True)


async def test_a_bad_pod_is_refused_to_controllers_too(tenancy: Tenancy):
    """A Deployment is accepted as an object; the pods that it makes are not."""
    home = tenancy.home("work")
    pod = changed({"schedulerName": "mine"})
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "sly"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod["spec"]},
        },
    }
    path = f"/apis/apps/v1/namespaces/{home}/deployments"
    async with tenancy.tenant("work") as mallory:
        assert await mallory.creates(path, body) == "accepted"
    look = ("get", "replicasets", "-n", home, "-o", "jsonpath={.items[*].status.conditions[*].message}")  # fmt: skip

    def words() -> bool:
        return "only the default scheduler" in tenancy.stack.kubectl("west", *look)

    wait_for("the policy's words at the ReplicaSet", words)
    async with tenancy.tenant("work") as mallory:
        assert await mallory.asks("DELETE", f"{path}/sly") == "accepted"


@pytest.mark.parametrize("claim", ["work", "wide"])
def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy, claim: str):
    runs(tenancy, claim)
