"""The marks of nodes, forged with the operator's own token: it may write them, and two policies say what may stand there.

Everything is asked as a dry run: what is refused isn't there, and what is accepted changes nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.builders.api import uid_of
from tests.builders.nodes import T4, gpu_node
from tests.harness.stack import leased_kubeconfig
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import Caller, Object, Tenancy, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

MINE, OTHER, TENANT = uid_of("mine"), uid_of("other"), uid_of("tenant")
MALFORMED = "sublet.dev/allocation is malformed"
DIFFER = "sublet.dev/allocation and the claim labels differ"
MORE = "more GPUs claimed than the node has"
SHARING = "sublet.dev/sharing must be None, SameTenant or AnyTenant"
WHILE_FREE = "sublet.dev/sharing may change only while the node is free"
ONE_CLAIM = "this node may hold one claim"
THEIRS = "this node is held by another tenant"
NAMED = "sublet.dev/tenant must name the tenant while the node is held"
LEASED = "this node belongs to another lease or is held by a claim"
NO_LEASE = "a claim needs a node with a lease"
TOGETHER = "lease label and pool taint come and go together"
MARKS_ONLY = "may only change sublet.dev labels, annotations and taints"
NOT_OURS = "may only touch GPU nodes and nodes of its leases"
OWNERS = "may not change a node's owners, finalizers, machine or addresses"
TAINTS = "the only sublet taints are"
KEPT_OUT = "takes sublet.dev/pool off only where the node leaves its lease"


@pytest.fixture(scope="module", autouse=True)
def _strays(tenancy: Tenancy) -> Iterator[None]:
    """Nodes of no lease: `spare` has a GPU and is in a zone that none of them is about, `plain` has none."""
    plain = gpu_node("plain")
    plain["metadata"]["labels"] = {"kubernetes.io/hostname": "plain"}
    foreign = [{"key": "landlord.example/own", "effect": "NoSchedule"}]
    spare = {**gpu_node("spare", T4, zone="z2"), "spec": {"taints": foreign}}
    tenancy.stack.apply("west", plain, spare)
    wait_for("it has its GPU", lambda: "allocatable" in tenancy.stack.get("west", "node", "spare")["status"])  # fmt: skip
    yield
    tenancy.stack.kubectl("west", "delete", "node", "plain", "spare")


async def tried(tenancy: Tenancy, node: str, change: Object) -> str:
    """Return what is said to a thief of the operator's token that changes a node."""
    config = str(leased_kubeconfig(tenancy.stack, "west"))
    async with ApiServer(await hub_endpoint(kubeconfig=config)) as api:
        thief = Caller(api)
        return await thief.asks("PATCH", f"/api/v1/nodes/{node}", change, kind="merge", dry=True)


def held(tenancy: Tenancy) -> str:
    """Return a node that acme's claim has."""
    return min(tenancy.nodes("work"))


def free(tenancy: Tenancy) -> str:
    """Return a node that is leased, and no claim's."""
    (name,) = {"w0", "w1", "w2"} - tenancy.nodes("work") - tenancy.nodes("theirs")
    wait_for("it is free", lambda: tenancy.stack.books("west")[name] in ("", "-"))
    return name


def book(text: str | None, *claims: str, sharing: str | None = "None", tenant: str | None = TENANT) -> Object:  # fmt: skip
    """Return what has a node's book read so, with the labels of these claims."""
    return {
        "metadata": {
            "annotations": {
                "sublet.dev/allocation": text,
                "sublet.dev/sharing": sharing,
                "sublet.dev/tenant": tenant,
            },
            "labels": {f"claim.sublet.dev/{each}": "true" for each in claims},
        }
    }


def without(uid: str, change: Object) -> Object:
    """Return the change that takes a claim's label off, too."""
    change["metadata"]["labels"][f"claim.sublet.dev/{uid}"] = None
    return change


def leased(lease: str | None, *taints: Object) -> Object:
    return {"metadata": {"labels": {"sublet.dev/lease": lease}}, "spec": {"taints": [*taints]}}


def pool(lease: str) -> Object:
    return {"key": "sublet.dev/pool", "value": lease, "effect": "NoSchedule"}


def annotated(**marks: str | None) -> Object:
    return {"metadata": {"annotations": {f"sublet.dev/{k}": v for k, v in marks.items()}}}


LABEL_ALONE = {"metadata": {"labels": {f"claim.sublet.dev/{MINE}": "true"}}}
TWO = f"{MINE}=4,{OTHER}=4"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (book(f"{MINE}=0", MINE), MALFORMED),
        (book(f"{MINE}=08", MINE), MALFORMED),
        (book("mine=8", "mine"), MALFORMED),
        (book(f"{MINE}=8"), DIFFER),
        (book(f"{MINE}=8", OTHER), DIFFER),
        (book(f"{MINE}=4", MINE, OTHER), DIFFER),
        (book(f"{MINE}=1,{MINE}=2", MINE, OTHER, sharing="AnyTenant"), DIFFER),
        (book(f"{MINE}=1,{MINE}=2", MINE, sharing="AnyTenant"), DIFFER),
        (LABEL_ALONE, DIFFER),
        (annotated(allocation=f"{MINE}=8"), DIFFER),
        (book(f"{MINE}=9", MINE), MORE),
        (book(f"{MINE}=4,{OTHER}=5", MINE, OTHER, sharing="AnyTenant"), MORE),
        (book(f"{MINE}=8", MINE, sharing="Everybody"), SHARING),
        (book(f"{MINE}=8", MINE, sharing=None), SHARING),
        (book(TWO, MINE, OTHER), ONE_CLAIM),
        (book(f"{MINE}=8", MINE, tenant=None), NAMED),
        (book(f"{MINE}=8", MINE, tenant="acme"), NAMED),
        (book(None), NAMED),
    ],
)  # fmt: skip
async def test_no_book_is_written_into_a_free_node_that_cant_be(tenancy: Tenancy, change, words):
    assert words in await tried(tenancy, free(tenancy), change)


Attack = Callable[[str], Object]
"""claim that has the node -> change"""


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (lambda uid: without(uid, {"metadata": {"labels": {}}}), DIFFER),
        (lambda _: annotated(allocation=None), DIFFER),
        (lambda _: annotated(sharing="AnyTenant"), WHILE_FREE),
        (lambda uid: without(uid, book(f"{MINE}=8", MINE, sharing="None")), WHILE_FREE),
        (lambda uid: book(f"{uid}=8,{MINE}=8", MINE, sharing="SameTenant"), MORE),
        (lambda uid: book(f"{uid}=4,{MINE}=4", MINE, sharing="SameTenant"), THEIRS),
        (lambda uid: without(uid, book(f"{MINE}=8", MINE, sharing="SameTenant")), THEIRS),
        (lambda _: annotated(tenant=OTHER), THEIRS),
        (lambda uid: without(uid, book(None, tenant=OTHER)), NAMED),
        (lambda _: leased("another", pool("another")), LEASED),
        (lambda _: leased(None), LEASED),
        (lambda uid: without(uid, {**book(None, tenant=None), **leased(None)} | {"metadata": {**book(None, tenant=None)["metadata"], "labels": {"sublet.dev/lease": None}}}), LEASED),
    ],
)  # fmt: skip
async def test_no_node_is_taken_from_the_claim_that_has_it(tenancy: Tenancy, attack: Attack, words):
    assert words in await tried(tenancy, held(tenancy), attack(tenancy.uid("work")))


async def test_no_lease_takes_anothers_node(tenancy: Tenancy):
    assert LEASED in await tried(tenancy, free(tenancy), leased("another", pool("another")))


@pytest.mark.parametrize("taints", [[], [pool("another")], [{**pool(""), "effect": "NoSchedule"}]])
@pytest.mark.parametrize("which", [held, free])
async def test_no_leased_node_is_opened_to_everybodys_pods(tenancy: Tenancy, which, taints):
    assert KEPT_OUT in await tried(tenancy, which(tenancy), {"spec": {"taints": taints}})


async def test_no_node_leaves_its_lease_with_the_taint_on(tenancy: Tenancy):
    change = {"metadata": {"labels": {"sublet.dev/lease": None}}}

    assert TOGETHER in await tried(tenancy, free(tenancy), change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (book(f"{MINE}=1", MINE), NO_LEASE),
        (leased("west"), TOGETHER),
        (leased("west", pool("another")), TOGETHER),
        (book(f"{MINE}=1", MINE) | leased("west", pool("west")) | {"metadata": {**book(f"{MINE}=1")["metadata"], "labels": {f"claim.sublet.dev/{MINE}": "true", "sublet.dev/lease": "west"}}}, LEASED),
    ],
)  # fmt: skip
async def test_no_claim_has_a_node_that_is_in_no_lease(tenancy: Tenancy, change, words):
    change = _keeping_foreign_taints(change)

    assert words in await tried(tenancy, "spare", change)


def _keeping_foreign_taints(change: Object) -> Object:
    if "spec" not in change:
        return change
    own = {"key": "landlord.example/own", "effect": "NoSchedule"}
    return {**change, "spec": {"taints": [own, *change["spec"]["taints"]]}}


async def test_what_the_operator_must_write_is_accepted(tenancy: Tenancy):
    """Locks, shared and not; what is given back; what is adopted and handed back."""
    uid, name = tenancy.uid("work"), free(tenancy)
    given = [
        await tried(tenancy, name, book(f"{MINE}=8", MINE)),
        await tried(tenancy, name, book(TWO, MINE, OTHER, sharing="SameTenant")),
        await tried(tenancy, name, book(TWO, MINE, OTHER, sharing="AnyTenant", tenant=None)),
        await tried(tenancy, name, leased(None)),
        await tried(tenancy, held(tenancy), without(uid, book(None, sharing=None, tenant=None))),
        await tried(tenancy, "spare", _keeping_foreign_taints(leased("west", pool("west")))),
    ]

    assert set(given) == {"accepted"}, given


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metadata": {"labels": {"kubernetes.io/hostname": None}}}, MARKS_ONLY),
        ({"metadata": {"labels": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}}}, MARKS_ONLY),
        ({"metadata": {"labels": {"sublet.dev.evil.example/x": "y"}}}, MARKS_ONLY),
        ({"metadata": {"annotations": {"landlord.example/x": "y"}}}, MARKS_ONLY),
        ({"metadata": {"annotations": {"kwok.x-k8s.io/node": None}}}, MARKS_ONLY),
        ({"spec": {"taints": []}}, MARKS_ONLY),
        ({"spec": {"taints": [{"key": "landlord.example/own", "effect": "NoExecute"}]}}, MARKS_ONLY),
        ({"spec": {"unschedulable": True}}, MARKS_ONLY),
        ({"metadata": {"finalizers": ["landlord.example/hold"]}}, OWNERS),
        ({"spec": {"podCIDR": "10.99.0.0/24", "podCIDRs": ["10.99.0.0/24"]}}, OWNERS),
        ({"spec": {"taints": [{"key": "landlord.example/own", "effect": "NoSchedule"}, {"key": "sublet.dev/x", "effect": "NoSchedule"}]}}, TAINTS),
        ({"spec": {"taints": [{"key": "landlord.example/own", "effect": "NoSchedule"}, {"key": "sublet.dev/leaving", "effect": "NoExecute"}]}}, TAINTS),
    ],
)  # fmt: skip
async def test_nothing_of_a_node_is_changed_that_isnt_ours(tenancy: Tenancy, change: Any, words):
    assert words in await tried(tenancy, "spare", change)


async def test_a_node_without_gpus_that_no_lease_has_is_left_alone(tenancy: Tenancy):
    marks = {"metadata": {"annotations": {"sublet.dev/x": "y"}}}

    assert NOT_OURS in await tried(tenancy, "plain", marks)
    assert await tried(tenancy, "spare", marks) == "accepted"


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "work")
