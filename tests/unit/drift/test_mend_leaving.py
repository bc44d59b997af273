"""Mending of a claim that has arrived while what it left is still held."""

import asyncio
from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.binder.binder import Binder
from sublet.binder.sites import reachable_sites
from sublet.drift import mend
from sublet.drift.compare import Difference, Observed, What
from sublet.drift.mend import drifted
from tests.builders.api import NOW, with_status
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.mending import LEASE, WEST, Home, bound_claim, labelled, run
from tests.builders.moves import left
from tests.builders.wire import wire_node


def left_behind(claim: GpuClaim, **fields: Any) -> GpuClaim:
    """Return the claim once it has left a node of the same namespace, of which the pods don't end."""
    dead = {"node": "dead", "node_uid": "dead", "home": 1}
    places = [p.model_copy(update=dead) for p in allocation_of(claim).placements]
    return with_status(claim, leaving=(left(places, **fields),))


async def test_a_policy_of_a_claim_that_leaves_a_dead_node_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
):
    async def no_tokens(claim: GpuClaim, _: Any) -> GpuClaim:
        return claim

    async def no_quota(_: Any) -> None: ...

    monkeypatch.setattr(mend, "_new_tokens", no_tokens)
    monkeypatch.setattr(mend, "_see_quota", no_quota)
    claim = left_behind(bound_claim())
    api = Home(claim, labelled(claim))

    await run(claim, api)

    assert any(path.endswith("/networkpolicies") for path in api.sent("POST"))


@pytest.mark.parametrize(
    ("fields", "changed"),
    [({}, False), ({"vacated_time": NOW}, True), ({"freed_time": NOW}, True)],
    ids=["pods", "rests", "free"],
)
def test_a_quota_may_be_that_of_both_while_pods_are_on_nodes_that_are_left(
    fields: dict[str, Any], changed: bool
):
    claim = left_behind(bound_claim(), **fields)
    tools = tools_of(Hub(claim), {LEASE: WEST}, {LEASE: NotedApi(claim.metadata.uid)})
    node = wire_node()
    node.status.allocatable = {"nvidia.com/gpu": "8"}
    tools.cluster(LEASE).node = lambda _: node
    ((site,), _) = reachable_sites(claim, tools, allocation_of(claim).placements)
    quota = {
        "metadata": {"labels": labelled(claim)["labels"]},
        "spec": {"hard": {"requests.nvidia.com/gpu": "16"}},
    }

    found = drifted(claim, site, Observed(None, {("resourcequotas", "sublet"): quota}), tools)

    assert (Difference("resourcequotas", "sublet", What.CHANGED) in found) is changed


async def test_a_claim_is_put_right_while_what_it_left_is_waited_for():
    claim, idle = left_behind(bound_claim()), asyncio.Event()
    tools = tools_of(Hub(claim), {LEASE: WEST}, {})
    binder = Binder(
        tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: idle.set()
    )
    assert binder.tend(claim)  # nobody can be asked whether the node is free
    await idle.wait()
    assert not binder.tend(claim)

    async def mended(live: GpuClaim, _: Any) -> GpuClaim:
        return live

    assert binder.mend(claim, mended)
