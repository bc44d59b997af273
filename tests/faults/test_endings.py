"""What may be taken from a claim, and when it may be ended: each rule is shown what breaks it, and what doesn't."""

from typing import Any

import pytest

from tests.faults.story import BOUND, CLAIM, HOME, NODE, PODS, UID, Story, stored

UNREAD, KEPT = "S7 without having read the claim", "S7 the claim keeps what is taken"
UNTOLD = "S10 ended before it was told"
AGAIN = f"sublet-{UID}-2"
MOVE = {"sequence": 2, "placements": [{"node": "n1", "gpus": 8, "home": 2}]}
CLAIMS = "/apis/sublet.dev/v1alpha1/gpuclaims"
END = "2026-11-27T10:00:00Z"


def after_reading(claim: Any) -> Story:
    story = Story()
    story.read_claim(claim)
    return story


@pytest.mark.parametrize(
    ("claim", "broken"),
    [
        (stored("Reserved", "Releasing"), []),
        (stored("Reserved", reason="LostRace"), []),
        (stored(), []),
        (stored(*BOUND), [KEPT]),
        (stored("Reserved", reason="Binding"), [KEPT]),
        (stored(*BOUND, reason="LostRace"), [KEPT]),
    ],
    ids=["releasing", "giving back", "holds nothing", "bound", "binding", "bound by another"],
)
def test_what_a_claim_keeps_isnt_taken(claim, broken):
    story = after_reading(claim)
    story.shut_out()
    assert story.broken == broken


@pytest.mark.parametrize(
    ("claim", "broken"), [(stored("Reserved", "Releasing"), []), (stored(*BOUND), [KEPT])]
)
def test_a_node_that_a_claim_keeps_isnt_taken_off_it(claim, broken):
    story = after_reading(claim)
    story.look()
    story.unlock()
    assert story.broken == broken


def test_nothing_is_taken_from_a_claim_that_was_never_read():
    story = Story()
    story.shut_out()
    assert story.broken == [UNREAD]


def test_what_another_operator_has_read_counts_for_nothing():
    story = Story()
    story.read_claim(pid=2)
    story.shut_out()
    assert story.broken == [UNREAD]


def test_only_the_last_word_counts():
    story = after_reading(stored("Reserved", "Releasing"))
    story.read_claim(stored(*BOUND))
    story.shut_out()
    assert story.broken == [KEPT]


def test_a_word_that_the_hub_refused_counts_for_nothing():
    story = after_reading(stored(*BOUND))
    story.ask("hub", "PUT", f"{CLAIM}/status", stored("Reserved", "Releasing"), {}, status=409)
    story.shut_out()
    assert story.broken == [KEPT]


def test_the_binds_own_write_is_no_word_that_anything_may_go():
    story = Story()
    story.ask("hub", "PUT", f"{CLAIM}/status", stored("Reserved"), stored("Reserved"))
    story.shut_out()
    story.ask("west", "DELETE", PODS)
    assert story.broken == [KEPT, KEPT]


def test_whoever_is_gone_by_a_live_look_keeps_nothing():
    story = after_reading(stored(*BOUND))
    story.ask("hub", "GET", CLAIM, {}, {}, status=404)
    story.shut_out()
    assert story.broken == []


def test_a_namesake_keeps_nothing_of_whom_it_replaced():
    story = after_reading(stored(*BOUND))
    story.ask("hub", "GET", CLAIM, answer={"metadata": {"uid": "another"}})
    story.shut_out()
    assert story.broken == []


@pytest.mark.parametrize(
    ("items", "query", "broken"),
    [
        ([], {}, []),
        ([stored()], {}, [UNREAD]),
        ([], {"resourceVersion": "0"}, [UNREAD]),
        ([], {"limit": "500", "continue": "more"}, [UNREAD]),
    ],
    ids=["gone", "there", "from the cache", "a last page"],
)
def test_an_orphan_is_one_by_a_whole_live_list_of_the_hub(items, query, broken):
    story = Story()
    story.ask("hub", "GET", CLAIMS, answer={"items": items}, **query)
    story.shut_out()
    assert story.broken == broken


@pytest.mark.parametrize(
    ("move", "broken"), [(MOVE, [KEPT]), ({**MOVE, "abandoned": True}, [])], ids=["on the way", "given up"]
)  # fmt: skip
def test_the_namespace_of_a_move_goes_only_when_it_is_given_up(move, broken):
    story = after_reading(stored(*BOUND, move=move))
    story.shut_out(AGAIN)
    assert story.broken == broken


def test_nodes_and_namespaces_that_a_moved_claim_left_are_taken_and_the_others_arent():
    moved = {"sequence": 2, "placements": [{"node": "n1", "gpus": 8, "home": 2}]}
    story = after_reading(stored(*BOUND, allocation=moved))
    story.shut_out()
    story.look()
    story.unlock()
    assert story.broken == []
    story.shut_out(AGAIN)
    assert story.broken == [KEPT]


def test_pods_go_from_the_nodes_that_are_left_alone_where_the_namespace_stays():
    stays = {"sequence": 2, "placements": [{"node": "n1", "gpus": 8, "home": 1}]}
    story = after_reading(stored(*BOUND, allocation=stays))
    one = {"fieldSelector": f"{NODE['fieldSelector']},metadata.name=train-0"}
    story.ask("west", "DELETE", PODS, **NODE)
    story.ask("west", "DELETE", PODS, **one)
    assert story.broken == []
    story.ask("west", "DELETE", PODS, fieldSelector="spec.nodeName=n1,metadata.name=train-0")
    assert story.broken == [KEPT]
    story.ask("west", "DELETE", PODS)
    assert story.broken == [KEPT, KEPT]


@pytest.mark.parametrize(
    ("access", "broken"), [({"lostTime": END}, []), ({}, [KEPT])], ids=["to be revoked", "good"]
)
def test_a_bound_claims_account_is_made_anew_only_where_its_tokens_are_revoked(access, broken):
    story = after_reading(stored(*BOUND, access=access))
    story.ask("west", "DELETE", f"/api/v1/namespaces/{HOME}/serviceaccounts/tenant")
    assert story.broken == broken


@pytest.mark.parametrize(("status", "broken"), [(422, []), (200, [KEPT])])
def test_a_bound_claims_binding_is_made_anew_only_where_it_refused_to_be_changed(status, broken):
    story = after_reading(stored(*BOUND))
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{HOME}/rolebindings/sublet-tenant"
    story.ask("west", "PATCH", rbac, status=status, content_type="application/apply-patch+yaml")
    story.shut_out()
    assert story.broken == broken


def ended(
    was: Any, cause: str = "LeaseEnded", status: int = 200, story: Story | None = None
) -> list[str]:
    """Return what is broken by the release of a claim that was so, at that end."""
    story = story or after_reading(was)
    release = {"cause": cause, "releaseTime": END, "sequence": 1}
    body = stored("Reserved", "Releasing", release=release)
    story.ask("hub", "PUT", f"{CLAIM}/status", body, body, status=status)
    return story.broken


@pytest.mark.parametrize("cause", ["LeaseEnded", "Maintenance", "Preempted"])
def test_an_end_that_nobody_chose_is_told_before(cause):
    assert ended(stored(*BOUND), cause) == [UNTOLD]
    told = f"its lease ends: the GPUs are taken back at {END}; save your work before"
    assert ended(stored(*BOUND, told=told), cause) == []


@pytest.mark.parametrize(
    ("named", "broken"),
    [
        ("2026-11-27T10:00:00.001Z", [UNTOLD]),
        ("2026-11-29T02:00:00Z", [UNTOLD]),
        ("2026-11-27T09:59:59.999Z", []),
    ],
)
def test_a_notice_of_a_later_end_is_none_of_this_one(named, broken):
    assert ended(stored(*BOUND, told=f"its lease ends: the GPUs are taken back at {named};")) == broken  # fmt: skip


@pytest.mark.parametrize("cause", ["Deleted", "Completed", "Suspended", "TenantSuspended", "LeaseLost"])  # fmt: skip
def test_what_its_tenant_or_a_person_ends_needs_no_notice(cause):
    assert ended(stored(*BOUND), cause) == []


@pytest.mark.parametrize(
    "was", [stored("Reserved"), stored("Reserved", "Releasing")], ids=["not bound", "under way"]
)
def test_only_the_beginning_of_a_bound_claims_end_needs_a_notice(was):
    assert ended(was) == []


def test_an_end_that_the_hub_refused_is_none():
    assert ended(stored(*BOUND), status=409) == []


def test_a_version_that_the_hub_never_answered_with_tells_nobody():
    was = stored(*BOUND, told=f"its lease ends: the GPUs are taken back at {END};")
    was["metadata"]["resourceVersion"] = "6"
    assert ended(was) == [UNTOLD]


LEASES = "/apis/sublet.dev/v1alpha1/gpuleases"
LOST = {"metadata": {"uid": "west"}, "status": {"lost": {"by": "ann"}}}


def placed(lease: str) -> Any:
    allocation = {"sequence": 1, "placements": [{"node": "n0", "gpus": 8, "leaseUID": lease}]}
    return stored(*BOUND) | {"status": {**stored(*BOUND)["status"], "allocation": allocation}}


@pytest.mark.parametrize("answer", [LOST, {"items": [LOST]}], ids=["read", "listed"])
@pytest.mark.parametrize(("lease", "broken"), [("west", []), ("east", [UNTOLD])])
def test_on_a_lost_lease_an_end_that_came_before_the_loss_needs_no_notice(answer, lease, broken):
    story = after_reading(placed(lease))
    story.ask("hub", "GET", LEASES, answer=answer, pid=2)
    assert ended(placed(lease), story=story) == broken


def test_a_lease_that_is_lost_later_is_no_excuse():
    story = after_reading(placed("west"))
    ended(placed("west"), story=story)
    story.ask("hub", "GET", LEASES, answer={"items": [LOST]})
    assert story.broken == [UNTOLD]
