"""What is put back on a node, what is in doubt, and what is left to others."""

from typing import Any

import pytest

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.drift.marks import Holder, Verdict, judge
from sublet.fleet.nodebook import BOOK, LEASE_LABEL, NODE, POOL_TAINT, SHARING, TENANT
from sublet.kube.wire import Node, Taint
from tests.builders.api import as_lease, lease, uid_of
from tests.builders.wire import our_node, wire_node

WEST = as_lease()
TRAIN, OTHER = (ClaimUID(uid_of(n)) for n in ("train", "other"))
ACME, GLOBEX = (TenantUID(uid_of(n)) for n in ("acme", "globex"))
LABEL = f"claim.sublet.dev/{TRAIN}"


def holder(
    uid: ClaimUID = TRAIN, gpus: int = 8, tenant: TenantUID = ACME, *, bound: bool = True
) -> Holder:
    return Holder(uid, gpus, tenant, LeaseUID(WEST.metadata.uid), is_bound=bound)


def held() -> Node:
    return our_node(WEST, f"{TRAIN}=8", ACME)


def written(verdict: Verdict) -> dict[str, Any]:
    """Return what the patches add, by path."""
    return {o["path"]: o["value"] for p in verdict.patches for o in p if o["op"] == "add"}


def guarded(verdict: Verdict) -> bool:
    """Say whether every patch tests the node's UID and the book as it was read."""
    paths = [{o["path"] for o in p if o["op"] == "test"} for p in verdict.patches]
    return all(
        {"/metadata/uid", "/metadata/annotations/sublet.dev~1allocation"} <= p for p in paths
    )


def test_a_node_that_says_what_the_claims_say_is_left_alone():
    assert judge(held(), WEST, [holder()]) == Verdict()
    assert judge(our_node(WEST), WEST, []) == Verdict()
    assert judge(wire_node(), WEST, []) == Verdict()


@pytest.mark.parametrize(
    ("section", "key", "path"),
    [
        ("labels", LABEL, f"/metadata/labels/claim.sublet.dev~1{TRAIN}"),
        ("labels", LEASE_LABEL, "/metadata/labels/sublet.dev~1lease"),
        ("annotations", BOOK, "/metadata/annotations/sublet.dev~1allocation"),
        ("annotations", TENANT, "/metadata/annotations/sublet.dev~1tenant"),
        ("annotations", SHARING, "/metadata/annotations/sublet.dev~1sharing"),
        ("annotations", NODE, "/metadata/annotations/sublet.dev~1node"),
    ],
)
def test_each_mark_that_is_gone_is_put_back_under_tests(section: str, key: str, path: str):
    node = held()
    del getattr(node.metadata, section)[key]

    verdict = judge(node, WEST, [holder()])

    assert list(written(verdict)) == [path]
    assert guarded(verdict)


def test_a_taint_that_is_gone_is_put_back():
    node = held()
    node.spec.taints = []

    assert "/spec/taints" in written(judge(node, WEST, [holder()]))


def test_a_lock_that_a_restored_backup_lost_is_taken_again_after_a_look_at_the_pods():
    verdict = judge(our_node(WEST), WEST, [holder()])

    assert written(verdict)["/metadata/annotations/sublet.dev~1allocation"] == f"{TRAIN}=8"
    assert verdict.relocks


def test_an_entry_with_another_number_is_put_right():
    assert written(judge(our_node(WEST, f"{TRAIN}=4", ACME), WEST, [holder()])) == {
        "/metadata/annotations/sublet.dev~1allocation": f"{TRAIN}=8"
    }


def test_a_claim_that_comes_or_goes_needs_no_entry_and_may_have_one():
    going = holder(bound=False)

    assert judge(our_node(WEST), WEST, [going]) == Verdict()
    assert judge(held(), WEST, [going]) == Verdict()


def test_whoever_is_named_and_doesnt_have_the_node_keeps_it_from_being_touched():
    verdict = judge(our_node(WEST, f"{OTHER}=4", ACME), WEST, [holder()])

    assert verdict.strangers == {OTHER}
    assert not verdict.patches
    assert verdict.doubt


@pytest.mark.parametrize(
    ("key", "value"), [(TENANT, str(GLOBEX)), (SHARING, "Anybody"), (SHARING, "None")]
)
def test_a_mark_that_says_something_else_is_doubted_and_never_overwritten(key: str, value: str):
    node = our_node(WEST, f"{TRAIN}=4,{OTHER}=4", ACME)
    node.metadata.annotations[key] = value

    verdict = judge(node, WEST, [holder(gpus=4), holder(OTHER, 4)])

    assert verdict.doubt
    assert not verdict.patches


@pytest.mark.parametrize("value", ["false", "9f3c" * 8])
def test_a_bound_claims_label_under_which_its_pods_cant_start_is_doubted(value: str):
    node = held()
    node.metadata.labels[LABEL] = value

    verdict = judge(node, WEST, [holder()])

    assert "the claim's label has another value" in verdict.doubt
    assert not verdict.patches
    assert judge(node, WEST, [holder(bound=False)]) == Verdict()


def test_another_pool_taint_is_doubted_and_never_written_beside():
    node = held()
    node.spec.taints = [Taint(key=POOL_TAINT, value=uid_of("another lease"), effect="NoSchedule")]

    verdict = judge(node, WEST, [holder()])

    assert verdict.doubt == "its sublet.dev/pool taint is another's"
    assert not verdict.patches


def test_a_claims_node_under_another_leases_label_is_doubted():
    node = held()
    node.metadata.labels[LEASE_LABEL] = uid_of("another lease")

    assert judge(node, WEST, [holder()]).doubt
    assert judge(node, WEST, []) == Verdict()


@pytest.mark.parametrize(
    "lost", [(), (LEASE_LABEL,), (LEASE_LABEL, POOL_TAINT)], ids=["as it is", "label", "both"]
)
def test_a_claims_node_is_nothing_to_another_lease_that_shows_it(lost: tuple[str, ...]):
    node = held()
    for mark in lost:
        node.metadata.labels.pop(mark, None)
        node.spec.taints = [t for t in node.spec.taints if t.key != mark]

    assert judge(node, as_lease(lease("another")), [holder()]) == Verdict()


def test_a_book_that_cant_be_read_is_written_anew_from_the_claims():
    node = held()
    node.metadata.annotations[BOOK] = "nonsense"

    assert written(judge(node, WEST, [holder()])) == {
        "/metadata/annotations/sublet.dev~1allocation": f"{TRAIN}=8"
    }
    del node.metadata.labels[LABEL]
    assert judge(node, WEST, []).doubt


def test_nothing_is_put_into_a_book_while_the_node_shows_no_gpus():
    node = our_node(WEST)
    node.status.allocatable["nvidia.com/gpu"] = "0"

    assert not judge(node, WEST, [holder()]).patches


def test_a_free_node_gets_the_leases_sharing_back():
    node = our_node(WEST)
    node.metadata.annotations[SHARING] = "AnyTenant"

    assert written(judge(node, WEST, [])) == {
        "/metadata/annotations/sublet.dev~1sharing": "SameTenant"
    }
