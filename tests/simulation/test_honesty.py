"""The model is kept honest: what it answered in a few histories, real control planes answer too."""

import asyncio
import base64
import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import yaml

from sublet.api.ids import ClaimUID
from sublet.api.lease_terms import TenantAccess
from sublet.binder.namespace import Home, namespace
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.builders.api import claim, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE, Stack, operator_kubeconfig
from tests.harness.waiting import wait_for
from tests.simulation.answers import Refused, Request, encode
from tests.simulation.history import play
from tests.simulation.loop import SimLoop
from tests.simulation.plan import Plan
from tests.simulation.replay import Replay, Step, recorded
from tests.simulation.server import Server
from tests.simulation.store import Change
from tests.simulation.world import World

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

PLAIN: dict[str, Any] = {
    "nodes": (2,),
    "sharing": ("SameTenant",),
    "replicas": 1,
    "elects": True,
    "claims": 3,
    "steps": 12,
    "seconds": 40.0,
    "actors": ("tenants",),
    "faults": (),
    "slow_controllers": False,
}
"""Nodes and pods that come and go have no counterpart on real planes, which would have to do the same at the same time."""
STORIES: dict[int, dict[str, Any]] = {
    3: {},
    4: {"actors": ("tenants", "contracts"), "faults": ("twice", "no reply", "500 applied")},
    5: {"actors": ("tenants", "crashes"), "sharing": ("None",), "faults": ("lost", "409", "429")},
    6: {
        "actors": ("tenants", "pauses", "clogs"),
        "replicas": 2,
        "sharing": ("AnyTenant",),
        "faults": ("slow", "twice"),
    },
}
"""seed -> what is otherwise. Faults that strike on the way are replayed by what reached the servers, in its order."""
SPARE = "spare"
"""A node that no history uses."""
ONE, TWO = uid_of("claim one"), uid_of("claim two")
NODE = f"/api/v1/nodes/{SPARE}"


def recorded_history(seed: int, **changes: Any) -> tuple[list[Step], list[Change]]:
    """Return what the servers were asked in a history, and what that changed on the hub."""
    steps: list[Step] = []
    changed: list[Change] = []
    with recorded(steps, changed):
        result = play(Plan.of(seed).narrowed(**{**PLAIN, **changes}))
    assert result.violations == []
    return steps, changed


async def replayed(
    stack: Stack, steps: list[Step], changes: Sequence[Change] | None = None
) -> Replay:
    """Send the steps of a history with one leased cluster, west, to real planes; `changes`: what watches must say."""
    admin = ApiServer(await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("hub"))))
    operator = ApiServer(await hub_endpoint(kubeconfig=str(operator_kubeconfig(stack))))
    landlord = ApiServer(await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("west"))))
    secret = stack.get("hub", "secret", "-n", NAMESPACE, "west")
    config = yaml.safe_load(base64.b64decode(secret["data"]["kubeconfig"]))
    leased = landlord.with_token(config["users"][0]["user"]["token"])
    servers = {
        "hub": {"admin": admin, "hub-a": operator, "hub-b": operator},
        "west": {"token-west": leased, "admin": landlord},
    }
    replay = Replay(servers)
    try:
        for step in steps:
            if step.status == 200 and step.request.path.startswith("/api/v1/nodes/"):
                replay.know("west", step.answer, await landlord.get(step.request.path))
        since = (await admin.get("/api/v1/namespaces"))["metadata"]["resourceVersion"]
        await replay.run(steps)
        if changes is not None:
            await replay.watch(changes, since)
    finally:
        for api in (admin, operator, landlord):
            await api.close()
    return replay


@pytest.fixture
def furnished() -> Iterator[Stack]:
    """Planes with the nodes and namespaces that every history begins with, and nothing of the history before."""
    stack = borrow_stack("honesty")
    for name in ("acme", "globex"):
        stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    names = ("west-0", "west-1", SPARE)
    stack.apply("west", *(gpu_node(name) for name in names))
    for name in names:
        wait_for(f"{name} has no taint", lambda n=name: not _taints(stack, n) and [n])
    yield stack
    stack.stop()


def _taints(stack: Stack, name: str) -> object:
    return stack.get("west", "node", name)["spec"].get("taints")


@pytest.mark.parametrize("seed", STORIES)
def test_real_planes_answer_as_the_model_does(furnished: Stack, seed: int):
    steps, changes = recorded_history(seed, **STORIES[seed])

    replay = asyncio.run(replayed(furnished, steps, changes))

    assert not replay.found, "\n".join(replay.found[:20])
    assert replay.sent > 100


def book(text: str, *, label: str = "", old: str = "", uid: str = "") -> list[dict[str, object]]:
    """Return a lock's patch; `label`: the claim that is labelled with it."""
    ops: list[dict[str, object]] = [
        {"op": "test", "path": "/metadata/annotations/sublet.dev~1allocation", "value": old},
        {"op": "add", "path": "/metadata/annotations/sublet.dev~1allocation", "value": text},
        {"op": "add", "path": "/metadata/annotations/sublet.dev~1tenant", "value": uid_of("t")},
    ]
    if uid:
        ops.insert(0, {"op": "test", "path": "/metadata/uid", "value": uid})
    if label:
        key = f"/metadata/labels/claim.sublet.dev~1{label}"
        ops.append({"op": "add", "path": key, "value": "true"})
    return ops


ADOPTION = [
    {"op": "add", "path": "/metadata/labels/sublet.dev~1lease", "value": uid_of("lease")},
    {"op": "add", "path": "/metadata/annotations/sublet.dev~1allocation", "value": ""},
    {"op": "add", "path": "/metadata/annotations/sublet.dev~1sharing", "value": "None"},
    {"op": "test", "path": "/spec/taints", "value": None},
    {
        "op": "add",
        "path": "/spec/taints",
        "value": [{"key": "sublet.dev/pool", "value": uid_of("lease"), "effect": "NoSchedule"}],
    },
]
LET_GO = [
    {"op": "remove", "path": "/metadata/labels/sublet.dev~1lease"},
    {"op": "remove", "path": "/spec/taints/0"},
]
HANDED_BACK = [{"op": "remove", "path": "/metadata/labels/sublet.dev~1lease"}]
HOME = namespace(Home(ClaimUID(ONE), 1, 4, TenantAccess(), "https://west", None))
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "tenant"}}
CLAIMS = "/apis/sublet.dev/v1alpha1/namespaces/acme/gpuclaims"


def refusals() -> list[Step]:
    """Return what the model says to requests that servers refuse, and to those that must come before them."""
    steps: list[Step] = []
    loop = SimLoop(random.Random(1))
    world = World(Plan.of(1).narrowed(**PLAIN | {"nodes": (1,), "sharing": ("None",)}), loop)
    west, hub = world.leased["west"], world.hub
    world.add_node(west, SPARE)

    def ask(server: Server, token: str, method: str, path: str, body: object) -> None:
        kind = {"PATCH": "application/json-patch+json"}.get(method, "application/json")
        with contextlib.suppress(Refused):
            server.handle(Request(method, path, {}, kind, encode(body)), token)

    def node(*bodies: object) -> None:
        for body in bodies:
            ask(west, "token-west", "PATCH", NODE, body)

    with recorded(steps):  # what the world began with isn't in it
        node(
            ADOPTION,
            LET_GO,
            ADOPTION,
            ADOPTION,
            book(f"{ONE}=8", label=ONE, uid=uid_of("another node")),
        )
        node(book(f"{ONE}=8"), book(f"{ONE}=8", label=TWO), book(f"{ONE}=9", label=ONE))
        node(book("nonsense"), book(f"{ONE}=4", label=ONE), book(f"{TWO}=4", label=TWO, old=""))
        node(book(f"{ONE}=4,{TWO}=4", label=TWO, old=f"{ONE}=4"), HANDED_BACK)
        for _ in range(2):
            ask(west, "token-west", "POST", "/api/v1/namespaces", HOME)
        wrong = {"preconditions": {"uid": uid_of("another")}}
        ask(west, "token-west", "DELETE", f"/api/v1/namespaces/sublet-{ONE}-1", wrong)
        away = f"/api/v1/namespaces/sublet-{TWO}-1/serviceaccounts"
        ask(west, "token-west", "POST", away, ACCOUNT)
        ask(west, "token-west", "GET", NODE, {})
        made = claim("refused", "acme")
        ask(hub, "admin", "POST", CLAIMS, made)
        ask(hub, "admin", "POST", CLAIMS, made)
        live = hub.store.get("gpuclaims", "acme", "refused")
        assert live is not None
        status = f"{CLAIMS}/refused/status"
        head = {"apiVersion": "sublet.dev/v1alpha1", "kind": "GpuClaim"}
        for meta in (
            {"uid": uid_of("another"), "resourceVersion": live["metadata"]["resourceVersion"]},
            {"uid": live["metadata"]["uid"], "resourceVersion": "1"},
            {"uid": live["metadata"]["uid"]},
        ):
            metadata = {"name": "refused", "namespace": "acme", **meta}
            ask(hub, "hub-a", "PUT", status, {**head, "metadata": metadata, "status": {}})
        finalizers = [
            {"op": "add", "path": "/metadata/finalizers", "value": ["sublet.dev/release"]}
        ]
        stale = [{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}]
        ask(hub, "hub-a", "PATCH", f"{CLAIMS}/refused", [*stale, *finalizers])
        ask(hub, "hub-a", "PATCH", f"{CLAIMS}/missing", finalizers)
        ask(hub, "admin", "DELETE", f"{CLAIMS}/refused", {})
        more = [{"op": "add", "path": "/metadata/finalizers/-", "value": "sublet.dev/more"}]
        ask(hub, "hub-a", "PATCH", f"{CLAIMS}/refused", more)
        ask(hub, "hub-a", "PATCH", f"{CLAIMS}/refused", [{"op": "remove", "path": "/metadata/finalizers"}])  # fmt: skip
        ask(hub, "hub-a", "GET", f"{CLAIMS}/refused", {})
    world.database.close()
    loop.close()
    return steps


def test_real_planes_refuse_what_the_model_refuses(furnished: Stack):
    steps = refusals()

    replay = asyncio.run(replayed(furnished, steps))

    assert not replay.found, "\n".join(replay.found)
    assert {s.status for s in steps} == {200, 403, 404, 409, 422}
