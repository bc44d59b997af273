"""A token that was kept beyond its claim: refused at once, and soon not even known."""

import json
import time
from http import HTTPStatus
from typing import Final

import pytest

from sublet.fleet.kubeconfig import parse_kubeconfig
from sublet.kube.errors import ApiError, Forbidden, Unauthorized
from sublet.kube.session import ApiServer, Endpoint
from sublet.kube.wire import MOST_ENTRIES
from tests.builders.api import claim
from tests.harness.stack import Stack
from tests.harness.tenants import write_access
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import ACME, Tenancy, labels, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

KNOWN_SECONDS = 11.0
"""An API server remembers for ten seconds that a token was good."""


async def answer(api: ApiServer, path: str) -> type[ApiError] | None:
    try:
        await api.get(path)
    except ApiError as error:
        return type(error)
    return None


def _bind(stack: Stack, name: str) -> tuple[str, Endpoint]:
    """Bind a claim; return its namespace in the leased cluster and the tenant's way in, as it was handed over."""
    stack.apply("hub", claim(name, ACME))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, name))
    handed = write_access(stack, bound, stack.folder / f"{name}.kubeconfig").read_bytes()
    home = bound["status"]["access"]["clusters"][0]["namespace"]
    return home, parse_kubeconfig(handed, allow_local=True, hub_servers=())


async def test_a_stolen_token_opens_nothing_once_its_claim_is_released(tenancy: Tenancy):
    stack = tenancy.stack
    home, stolen = _bind(stack, "brief")
    pods, review = f"/api/v1/namespaces/{home}/pods", "/api/v1/namespaces"
    async with ApiServer(stolen) as thief:
        assert await answer(thief, pods) is None
        stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "brief", "--wait=false")
        seen = [await _first_refusal(thief, pods)]
        account = ("serviceaccount", "-n", home, "tenant")
        wait_for("the account is gone", lambda: not stack.get("west", *account))
        deadline = time.monotonic() + KNOWN_SECONDS
        while seen[-1] is not Unauthorized and time.monotonic() < deadline:
            seen.append(await answer(thief, review))

    assert seen[0] in (Forbidden, Unauthorized)
    assert set(seen) <= {Forbidden, Unauthorized}
    assert seen[-1] is Unauthorized, "the token is still known"
    wait_for("no Secret", lambda: not stack.get("hub", "secret", "-n", ACME, "brief-kubeconfig"))


async def test_a_pod_with_thousands_of_labels_ends_with_its_claim_as_any_other(tenancy: Tenancy):
    stack = tenancy.stack
    home, access = _bind(stack, "labelled")
    many = plain_pod("many")
    many["metadata"]["labels"] = {f"l{i}": "x" for i in range(MOST_ENTRIES + 100)}
    async with ApiServer(access) as tenant:
        await tenant.create(f"/api/v1/namespaces/{home}/pods", many)

    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "labelled", "--timeout=90s")

    # the namespace is called by the claim's UID and the number of its reservation
    assert home.removeprefix("sublet-").rsplit("-", 1)[0] not in str(stack.books("west"))
    wait_for("the namespace goes", lambda: not stack.get("west", "namespace", home))


def _fill(stack: Stack, home: str, pod: str) -> str:
    """Fill a pod as its cluster's admin, until no label more has room, and keep off what is small; returns one label's key."""
    patch = ("-n", home, "patch", "pod", pod, "--type=merge", "--patch-file=/dev/stdin")
    number, step = 0, 2_048
    while step:
        more = json.dumps(labels(step, number))
        if "patched" in stack.kubectl("west", *patch, given=more, check=False):
            number += step
        else:
            step //= 2
    notes = {"metadata": {"annotations": {"a": "x" * 4}}}
    while "patched" in stack.kubectl("west", *patch, given=json.dumps(notes), check=False):
        notes["metadata"]["annotations"]["a"] += "x" * 8
    return next(iter(labels(1)["metadata"]["labels"]))


async def test_a_pod_that_its_cluster_cant_delete_is_said_and_holds_up_no_other(tenancy: Tenancy):
    """Tenants are kept from that; other tools of a landlord's aren't."""
    stack = tenancy.stack
    home, access = _bind(stack, "filled")
    async with ApiServer(access) as tenant:
        for name in ("before", "full", "last"):
            await tenant.create(f"/api/v1/namespaces/{home}/pods", plain_pod(name, gpus=0))
    key = _fill(stack, home, "full")
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "filled", "--wait=false")

    said = (
        "west refuses a step: its API server answers, and fails to delete pod full, which runs on"
    )
    wait_for(said, lambda: said in json.dumps(stack.claim(ACME, "filled")))
    left = stack.get("west", "pods", "-n", home)["items"]
    assert [each["metadata"]["name"] for each in left] == ["full"]
    stack.kubectl("west", "-n", home, "label", "pod", "full", f"{key}-")
    wait_for("the claim is gone", lambda: stack.claim(ACME, "filled") is None)


_KEEPS: Final = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: keeps-pods}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [DELETE], resources: [pods]}]}
  validations: [{expression: "oldObject.metadata.name != 'kept'", reason: Forbidden}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: keeps-pods}
spec: {policyName: keeps-pods, validationActions: [Deny]}
"""


async def test_a_pod_that_a_landlords_policy_keeps_is_said_and_holds_up_no_other(tenancy: Tenancy):
    stack = tenancy.stack
    home, access = _bind(stack, "guarded")
    async with ApiServer(access) as tenant:
        for name in ("before", "kept", "last"):
            await tenant.create(f"/api/v1/namespaces/{home}/pods", plain_pod(name, gpus=0))
    stack.kubectl("west", "apply", "-f", "-", given=_KEEPS)
    trial = ("-n", home, "delete", "pod", "kept", "--dry-run=server")
    wait_for("it refuses", lambda: "denied" in stack.kubectl("west", *trial, check=False))
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "guarded", "--wait=false")

    said = "west refuses a step: its API server refuses to delete pod kept, which runs on"
    wait_for(said, lambda: said in json.dumps(stack.claim(ACME, "guarded")))
    left = stack.get("west", "pods", "-n", home)["items"]
    assert [each["metadata"]["name"] for each in left] == ["kept"]
    stack.kubectl("west", "delete", "-f", "-", given=_KEEPS)
    wait_for("the claim is gone", lambda: stack.claim(ACME, "guarded") is None)


async def _first_refusal(thief: ApiServer, pods: str) -> type[ApiError]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (found := await answer(thief, pods)) is not None:
            return found
    raise AssertionError(f"not {HTTPStatus.FORBIDDEN} within 20 s")


def test_who_still_holds_a_claim_works_on(tenancy: Tenancy):
    runs(tenancy, "work")
