"""Volumes by which a tenant would come to what the landlord keeps for others, past the rules on pods."""

import asyncio
import json
from typing import Any

import pytest

from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import Caller, Object, Tenancy, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
NO_NAME = "spec.volumeName may not be set"
A_CLASS = "name a storage class in spec.storageClassName"
SELECTED = "volume.kubernetes.io/selected-node"
OLD_SELECTED = "volume.alpha.kubernetes.io/selected-node"
NO_NODE = f"{SELECTED} may not be set"
SCHEDULER = "system:kube-scheduler"
BINDER = "system:serviceaccount:kube-system:persistent-volume-binder"


def asked(name: str = "data", **spec: Any) -> Object:
    """Return a tenant's plain PersistentVolumeClaim with these fields, too."""
    plain = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
    }
    kept = {k: v for k, v in {**plain, **spec}.items() if v is not None}
    return {"metadata": {"name": name}, "spec": kept}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"storageClassName": ""}, A_CLASS),
        ({"storageClassName": None}, A_CLASS),  # this cluster has no default
        ({"storageClassName": "", "volumeName": "landlords"}, NO_NAME),
        ({"volumeName": "landlords"}, NO_NAME),
    ],
)
async def test_a_tenant_takes_no_volume_that_is_there(tenancy: Tenancy, spec, words):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/persistentvolumeclaims"
    async with tenancy.tenant("wide") as mallory:
        said = await mallory.creates(path, asked(**spec))
        assert await mallory.creates(path, asked(), dry=True) == "accepted"

    assert said.startswith("403"), said
    assert words in said


async def test_where_the_cluster_has_a_default_class_no_class_need_be_named(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/persistentvolumeclaims"
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    meta = {"name": "fast", "annotations": default}
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta, "provisioner": "disks.example.com"}  # fmt: skip
    async with tenancy.tenant("wide") as mallory:
        tenancy.stack.apply("east", made)
        try:
            said = await _with_no_class(mallory, path, accepted=True)
            none = await mallory.creates(path, asked(storageClassName=""))
        finally:
            tenancy.stack.kubectl("east", "delete", "storageclass", "fast")
            after = await _with_no_class(mallory, path, accepted=False)

    assert said == "accepted"
    assert A_CLASS in none
    assert A_CLASS in after


async def _with_no_class(mallory: Caller, path: str, *, accepted: bool) -> str:
    """Name no class until the server accepts it, or doesn't: it hears of a default, and that it is gone, a little later."""
    for _ in range(300):
        said = await mallory.creates(path, asked(storageClassName=None), dry=True)
        if (said == "accepted") is accepted:
            break
        await asyncio.sleep(0.1)
    return said


async def test_an_old_annotation_names_no_class_over_the_field(tenancy: Tenancy):
    """The controller believes the annotation first."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/persistentvolumeclaims"
    born = asked("old")  # one that is deleted keeps its name for a moment
    born["metadata"]["annotations"] = {OLD_CLASS: ""}
    async with tenancy.tenant("wide") as mallory:
        said = [await mallory.creates(path, born)]
        assert await mallory.creates(path, asked("old")) == "accepted"
        said.append(await mallory.merges(f"{path}/old", {"metadata": {"annotations": {OLD_CLASS: ""}}}))  # fmt: skip
        assert await mallory.asks("DELETE", f"{path}/old") == "accepted"

    assert all(OLD_CLASS in each and each.startswith("403") for each in said), said


async def test_a_claim_that_waits_is_bound_by_the_clusters_controller_alone(tenancy: Tenancy):
    home = tenancy.home("wide")
    path = f"/api/v1/namespaces/{home}/persistentvolumeclaims"
    chosen = {"spec": {"volumeName": "landlords"}}
    async with tenancy.tenant("wide") as mallory:
        assert await mallory.creates(path, asked("waits")) == "accepted"
        said = await mallory.merges(f"{path}/waits", chosen)
        assert await mallory.merges(f"{path}/waits", {"metadata": {"labels": {"a": "b"}}}) == "accepted"  # fmt: skip
        waits = await mallory.api.get(f"{path}/waits")
        waits["spec"] |= chosen["spec"]
        tenancy.stack.kubectl("east", "replace", f"--as={BINDER}", "-f", "-", given=json.dumps(waits))  # fmt: skip
        bound = await mallory.api.get(f"{path}/waits")
        assert await mallory.merges(f"{path}/waits", {"metadata": {"labels": {"a": "c"}}}) == "accepted"  # fmt: skip
        assert await mallory.asks("DELETE", f"{path}/waits") == "accepted"

    assert said.startswith("403"), said
    assert NO_NAME in said
    assert bound["spec"]["volumeName"] == "landlords"


def placed(name: str, key: str = SELECTED) -> Object:
    body = asked(name)
    body["metadata"]["annotations"] = {key: "e1"}
    return body


@pytest.mark.parametrize("key", [SELECTED, OLD_SELECTED])
async def test_no_volume_is_made_on_a_node_that_a_tenant_chooses(tenancy: Tenancy, key: str):
    """Provisioners that wait for a first pod make it on the node that this names, which may be another claim's."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/persistentvolumeclaims"
    chosen = {"metadata": {"annotations": {key: "e1"}}}
    async with tenancy.tenant("wide") as mallory:
        said = [await mallory.creates(path, placed("attack", key))]
        assert await mallory.creates(path, asked("placed")) == "accepted"
        said.append(await mallory.merges(f"{path}/placed", chosen))
        assert await mallory.asks("DELETE", f"{path}/placed") == "accepted"

    assert all(NO_NODE in each and each.startswith("403") for each in said), said


async def test_a_template_names_no_node_for_its_volumes(tenancy: Tenancy):
    """The controller makes the claim, with whatever its template notes."""
    home = tenancy.home("wide")
    spec = {
        "serviceName": "sly",
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": plain_pod("x", gpus=0)["spec"]},
        "volumeClaimTemplates": [placed("data")],
    }
    path = f"/apis/apps/v1/namespaces/{home}/statefulsets"
    told = ("events", "-n", home, "--field-selector", "involvedObject.name=sly")

    def words() -> bool:
        return NO_NODE in str(tenancy.stack.get("east", *told)["items"])

    async with tenancy.tenant("wide") as mallory:
        assert (
            await mallory.creates(path, {"metadata": {"name": "sly"}, "spec": spec}) == "accepted"
        )
        wait_for("the policy's words at the StatefulSet", words)
        assert await mallory.asks("DELETE", f"{path}/sly") == "accepted"


async def test_the_scheduler_chooses_a_volumes_node_and_chooses_anew(tenancy: Tenancy):
    home = tenancy.home("wide")
    path = f"/api/v1/namespaces/{home}/persistentvolumeclaims"
    async with tenancy.tenant("wide") as mallory:
        assert await mallory.creates(path, asked("first")) == "accepted"
        chosen = await mallory.api.get(f"{path}/first")
        del chosen["metadata"]["resourceVersion"]
        for node in ("e0", "e1"):
            chosen["metadata"]["annotations"] = {SELECTED: node}
            tenancy.stack.kubectl("east", "replace", f"--as={SCHEDULER}", "-f", "-", given=json.dumps(chosen))  # fmt: skip
        said = await mallory.merges(f"{path}/first", {"metadata": {"annotations": {SELECTED: "e0"}}})  # fmt: skip
        fine = [
            await mallory.merges(f"{path}/first", {"metadata": {"labels": {"a": "b"}}}),
            await mallory.merges(f"{path}/first", {"metadata": {"annotations": {SELECTED: None}}}),
        ]
        assert await mallory.asks("DELETE", f"{path}/first") == "accepted"

    assert NO_NODE in said
    assert fine == ["accepted", "accepted"]


async def test_no_pod_has_a_driver_mount_something_in_its_own_words(tenancy: Tenancy):
    """An inline volume's attributes go to the driver on the node as they are: a server's address, a path."""
    path = f"/api/v1/namespaces/{tenancy.home('wide')}/pods"
    pod = plain_pod("attack")
    inline = {"driver": "nfs.csi.k8s.io", "volumeAttributes": {"server": "10.0.0.5", "share": "/"}}
    claimed = plain_pod("fine")
    pod["spec"]["volumes"] = [{"name": "v", "csi": inline}]
    claimed["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    async with tenancy.tenant("wide") as mallory:
        said = await mallory.creates(path, pod)
        assert await mallory.creates(path, claimed, dry=True) == "accepted"

    assert "this kind of volume is not allowed; use a persistentVolumeClaim" in said


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "wide")
