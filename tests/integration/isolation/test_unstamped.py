"""Clusters below Kubernetes 1.36, where nothing is filled in: what would have been is asked for."""

import asyncio
import json

import pytest
import yaml

from sublet.cli.onboarding.apply import apply_all
from sublet.fleet.isolation import MUTATING, PROBE_NAMESPACE, PROBE_UID
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import leased_cluster
from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import ONBOARDED, Stack
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import ACME, Object, Tenancy, plain_pod, runs
from tests.integration.isolation.test_pods import OFF, SELECTOR, VOID

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

BINDING = "mutatingadmissionpolicybinding"
NEEDED = "a container without a GPU needs NVIDIA_VISIBLE_DEVICES=void, one with a GPU needs "
WHO_ASKS = "sublet.dev/requested-by must be the name of who asks"
OWN = {f"claim.sublet.dev/{PROBE_UID}": "true"}


@pytest.fixture(scope="module")
def old(stack: Stack) -> Stack:
    """A hub and a cluster without what a server below 1.36 doesn't know."""
    stack.kubectl("hub", "create", "namespace", ACME)
    stack.kubectl("hub", "delete", BINDING, "sublet-hub-requested-by")
    wait_for("nothing is stamped", lambda: "requested-by" not in claimed(stack))
    _strip(stack)
    return stack


def _strip(stack: Stack) -> None:
    stack.kubectl("west", "delete", BINDING, *MUTATING)
    wait_for("pods are as they were asked for", lambda: SELECTOR in made(stack, unpinned()))
    wait_for("no device is set off", lambda: NEEDED in made(stack, own()))


def own(*env: Object, gpus: int = 0) -> Object:
    """Return the fields of a pod that selects the claim's nodes."""
    container = {**plain_pod("p", gpus=gpus)["spec"]["containers"][0], "env": [*env]}
    secure = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}  # fmt: skip
    return {"nodeSelector": OWN, "containers": [{**container, "securityContext": secure}]}


def unpinned() -> Object:
    return {**own(VOID), "nodeSelector": {}}


def made(stack: Stack, spec: Object, name: str = "p") -> str:
    """Return what is said of a pod in the claim namespace that isolation is proven in."""
    pod = plain_pod(name, gpus=0)
    pod["spec"].update(spec)
    create = ("-n", PROBE_NAMESPACE, "create", "--dry-run=server", "-f", "-")
    return stack.kubectl("west", *create, given=yaml.safe_dump(pod), check=False)


def claimed(stack: Stack, **annotations: str) -> str:
    """Return what the hub makes of a claim, or says of it."""
    asked = claim("forged", ACME, suspended=True)
    asked["metadata"]["annotations"] = {f"sublet.dev/{k}": v for k, v in annotations.items()}
    create = ("create", "--dry-run=server", "-o", "yaml", "-f", "-")
    return stack.kubectl("hub", *create, given=yaml.safe_dump(asked), check=False)


def test_a_pod_selects_its_own_claims_nodes(old: Stack):
    others = {"nodeSelector": {f"claim.sublet.dev/{uid_of('other')}": "true"}}

    assert SELECTOR in made(old, unpinned())
    assert SELECTOR in made(old, own(VOID) | others)
    assert "created" in made(old, own(VOID))


@pytest.mark.parametrize(
    ("spec", "is_refused"),
    [
        (own(), True),
        (own(*OFF), True),
        (own(gpus=1), True),
        (own(*OFF[1:], gpus=1), True),
        (own(*OFF, gpus=1), False),
        ({**own(VOID), "initContainers": [{**own()["containers"][0], "name": "i"}]}, True),
        ({**own(VOID), "initContainers": [{**own(VOID)["containers"][0], "name": "i"}]}, False),
    ],
)
def test_a_container_sets_off_what_it_isnt_given(old: Stack, spec: Object, is_refused: bool):
    said = made(old, spec)

    assert (NEEDED in said) is is_refused, said
    assert ("created" in said) is not is_refused


def test_a_container_that_is_added_to_a_pod_sets_off_what_it_isnt_given(old: Stack):
    pod = {**plain_pod("runs"), "spec": own(VOID)}
    old.kubectl("west", "-n", PROBE_NAMESPACE, "create", "-f", "-", given=yaml.safe_dump(pod))
    added = own()["containers"][0] | {"name": "e", "resources": {}}
    how = ("-n", PROBE_NAMESPACE, "patch", "pod", "runs", "--subresource=ephemeralcontainers", "--dry-run=server")  # fmt: skip

    def said(*env: Object) -> str:
        change = {"spec": {"ephemeralContainers": [{**added, "env": [*env]}]}}
        return old.kubectl("west", *how, "-p", json.dumps(change), check=False)

    assert NEEDED in said()
    assert "patched" in said(VOID)
    old.kubectl("west", "-n", PROBE_NAMESPACE, "delete", "pod", "runs", "--force", "--grace-period=0")  # fmt: skip


def test_nobody_says_that_another_asked(old: Stack):
    assert WHO_ASKS in claimed(old, **{"requested-by": "the-boss"})
    assert "kind: GpuClaim" in claimed(old, **{"requested-by": "admin"})


async def _onboarded(stack: Stack) -> None:
    admin = await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("west")))
    async with ApiServer(admin) as api:
        await apply_all(api, leased_cluster(ONBOARDED))


def test_once_all_is_filled_in_again_the_tenants_own_pod_runs_on_its_own_node(old: Stack):
    asyncio.run(_onboarded(old))
    old.apply("west", gpu_node("n0"))
    old.apply("hub", lease("west", committed=8), gpu_class(), tenant(), claim("work", ACME))
    operator = OperatorProcess(old).start()
    bound = wait_for("bound", lambda: old.is_bound(ACME, "work"), seconds=90)

    runs(Tenancy(old, operator, {"work": bound}), "work")
    operator.kill()
    _strip(old)
