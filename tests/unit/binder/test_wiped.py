"""When a node that a tenant has left counts as wiped, where its lease names a label for that."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.gpulease import GpuLease
from sublet.api.last_word import Leftover
from sublet.api.relocation import ReleaseCause
from sublet.binder.leftovers import clear
from sublet.binder.ports import StillThere
from sublet.binder.release import release
from sublet.kube.wire import Meta, Node
from tests.builders.api import NOW, uid_of
from tests.builders.clusters import CLUSTER, Hub, LiveNodes, clock_at, nobody_keeps_it, tools_of
from tests.builders.moves import leased, running

LABEL = "landlord.example/clean"
WEST = leased("west", term={"cleanLabel": LABEL})
NODE = "west-0000"
WIPED_AT = "1795863600"


def going(claim: GpuClaim) -> GpuClaim:
    """Return a bound claim whose release is under way."""
    decided = Release(cause=ReleaseCause.SUSPENDED, release_time=NOW, sequence=1)
    return claim.model_copy(update={"status": claim_status.releasing(claim, decided, NOW)})


TRAIN = going(running(WEST))
UID = TRAIN.metadata.uid


def cluster(label: str | None, *, unwiped: str | None = None, others: str = "") -> LiveNodes:
    """Return a cluster with a claim on its node; `label`: what the landlord's label says there."""
    (place,) = claim_status.allocation_of(TRAIN).placements
    labels = {f"claim.sublet.dev/{UID}": "true", "sublet.dev/lease": place.lease_uid}
    notes = {"sublet.dev/allocation": f"{UID}={place.gpus}{others}"}
    node = Meta(
        name=place.node,
        uid=place.node_uid,
        resource_version="1",
        labels=labels | ({LABEL: label} if label is not None else {}),
        annotations=notes | ({"sublet.dev/unwiped": unwiped} if unwiped is not None else {}),
    )
    return LiveNodes(UID, {f"/api/v1/nodes/{place.node}": Node(metadata=node)})


def take_back(api: LiveNodes, lease: GpuLease = WEST[0], *, now_ms: int = NOW) -> bool:
    """Try to release the claim, each time with a new operator; return whether its node is free then."""
    tools = tools_of(Hub(TRAIN), {lease.metadata.uid: lease}, {lease.metadata.uid: api})
    tools.clock = clock_at(now_ms)
    try:
        asyncio.run(release(TRAIN, tools))
    except StillThere:
        return False
    return api.annotation(NODE, "sublet.dev/allocation") == ""


def test_a_label_from_before_the_tenant_left_frees_nothing():
    api = cluster("true")

    assert [take_back(api) for _ in range(3)] == [False, False, False]


def test_a_label_that_comes_after_the_tenant_left_frees_the_node():
    api = cluster(None)
    assert not take_back(api)
    api.relabel(NODE, LABEL, "true")

    assert take_back(api)


def test_a_stale_label_that_was_seen_gone_counts_when_it_is_set_again():
    api = cluster("true")
    take_back(api)
    api.relabel(NODE, LABEL, None)
    assert not take_back(api)
    api.relabel(NODE, LABEL, "true")

    assert take_back(api)


def test_another_time_of_wiping_frees_the_node_though_the_label_was_never_off():
    api = cluster(WIPED_AT)
    assert not take_back(api)
    api.relabel(NODE, LABEL, str(int(WIPED_AT) + 3_600))

    assert take_back(api)


@pytest.mark.parametrize("says", ["false", "0", "", "wiping", "2026-11-28"])
def test_whatever_else_a_label_says_isnt_clean(says: str):
    api = cluster("true")
    take_back(api)
    api.relabel(NODE, LABEL, says)

    assert not take_back(api)


def test_a_label_that_comes_while_the_node_rests_counts():
    term = WEST[0].spec.term.model_copy(update={"quarantine_seconds": 60})
    resting = WEST[0].model_copy(update={"spec": WEST[0].spec.model_copy(update={"term": term})})
    api = cluster(None)
    assert not take_back(api, resting)
    api.relabel(NODE, LABEL, "true")

    assert take_back(api, WEST[0])


def test_what_was_noted_of_another_label_says_nothing_of_this_one():
    api = cluster("true", unwiped=f"{UID}=landlord.example/other=")

    assert not take_back(api)


def test_a_node_that_is_free_carries_no_note_of_the_claim_and_those_of_others():
    other = f"{uid_of('other')}={LABEL}=true"
    api = cluster("true", unwiped=f"{UID}={LABEL}=,{other}")

    assert take_back(api)
    assert api.annotation(NODE, "sublet.dev/unwiped") == other


def test_a_node_that_the_claim_is_off_already_is_left_alone():
    api = cluster(None)
    take_back(api)
    api.relabel(NODE, LABEL, "true")
    take_back(api)
    patches = len(api.sent("PATCH"))

    assert take_back(api)
    assert len(api.sent("PATCH")) == patches


def test_a_node_that_changes_meanwhile_is_read_again():
    class Beating(LiveNodes):
        beats = 2

        async def patch_as(self, path: str, patch: Any, type_: type) -> Node:
            if self.beats:
                self.beats -= 1
                self.relabel(NODE, "kubelet", str(self.beats))
            return await super().patch_as(path, patch, type_)

    api = Beating(UID, cluster("true")._nodes)

    assert not take_back(api)
    assert api.annotation(NODE, "sublet.dev/unwiped") == f"{UID}={LABEL}=true"


def test_who_must_do_what_about_a_stale_label_is_said():
    tools = tools_of(
        Hub(TRAIN), {WEST[0].metadata.uid: WEST[0]}, {WEST[0].metadata.uid: cluster("true")}
    )

    with pytest.raises(
        StillThere, match=f"{NODE} must be wiped: its label {LABEL} said true before"
    ):
        asyncio.run(release(TRAIN, tools))


def test_what_a_person_let_go_waits_for_the_wipe_too():
    uid = WEST[0].metadata.uid
    api = LiveNodes(UID, cluster("true")._nodes)
    left = Leftover(claim_uid=UID, homes=(1,), gpus=8, since_time=NOW)
    tools = tools_of(Hub(None), {uid: WEST[0]}, {uid: api})
    tools.cluster(uid).facts = SimpleNamespace(cluster_uid=CLUSTER)
    tools.cluster(uid).lease_uid = uid

    with pytest.raises(StillThere, match="must be wiped"):
        asyncio.run(clear(WEST[0], left, tools.cluster(uid), tools, nobody_keeps_it))
