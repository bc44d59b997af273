"""What is said to an object that can't be read, whose namespaces it keeps, and what it holds."""

from typing import Any

import pytest

from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.book.decisions import Refuse
from sublet.book.plan import plan
from sublet.hub.state import HubState, Unread
from sublet.hub.unread import (
    caught_up,
    is_caught_up,
    namespaces_of_unread,
    open_leases,
    told_claim,
    told_patch,
    unread_holders,
)
from tests.builders.api import NOW, as_claim, as_tenant, claim, tenant, uid_of
from tests.builders.fleet import refusal_of, view
from tests.builders.moves import leased, running
from tests.builders.restored import Body, adopted, on_the_wire, parsed, restored
from tests.builders.unread import holds_by_newer, senseless, unread_tenant
from tests.builders.windows import EAST, WEST, ahead, promised, west

BODY = unread_tenant(as_tenant(tenant(namespaces=("acme", "acme-lab"))))
ACME = Unread("acme", "spec.suspended: should be a boolean", BODY)
BOUND = running(leased("west"))
PROMISED = promised(ahead("mine", 4, 4))


def told(each: Unread) -> Unread:
    """Return the object after it was told."""
    patch = told_patch(each, NOW)
    assert patch is not None
    return Unread(each.key, each.fault, {**each.body, "status": patch[-1]["value"]})


def conditions(each: Unread) -> dict[str, str]:
    return {c["type"]: c["status"] for c in each.body["status"]["conditions"]}


def told_once(body: Body, fault: str = "fault") -> Unread:
    """Return the claim after it was told."""
    put = told_claim(Unread("acme/train", fault, body), NOW)
    assert put is not None
    return Unread("acme/train", fault, {**body, "status": put["status"]})


def hub_of(*bodies: Body) -> HubState:
    hub = HubState(lambda: None)
    for body in bodies:
        hub.claims.take(body)
    return hub


def changed(body: Body, **status: Any) -> Body:
    return {**body, "status": {**body["status"], **status}}


def test_it_is_told_once_and_again_if_something_else_is_wrong():
    once = told(ACME)

    (ready,) = once.body["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "SpecUnread")
    assert "spec.suspended" in ready["message"]
    assert told_patch(once, NOW) is None
    other = told_patch(Unread(once.key, "spec.term: nonsense", once.body), NOW)
    assert other is not None


def test_what_else_its_status_says_stays():
    served = {"type": "InUse", "status": "True", "reason": "x", "message": ""}
    body = {**BODY, "status": {"observedGeneration": 3, "conditions": [served]}}

    found = told(Unread("acme", "fault", body))

    assert conditions(found) == {"InUse": "True", "Ready": "False"}
    assert found.body["status"]["observedGeneration"] == 3


def test_the_word_is_for_the_object_as_it_was_read():
    patch = told_patch(ACME, NOW)

    assert patch is not None
    meta = BODY["metadata"]
    assert [(op["path"], op["value"]) for op in patch if op["op"] == "test"] == [
        ("/metadata/uid", meta["uid"]),
        ("/metadata/resourceVersion", meta["resourceVersion"]),
    ]


def test_the_namespaces_that_a_tenant_names_are_read_as_they_stand():
    assert namespaces_of_unread([ACME]) == {"acme": "acme", "acme-lab": "acme"}
    assert namespaces_of_unread([Unread("x", "", {"spec": {"namespaces": "all"}})]) == {}


def test_what_a_claim_promised_that_cant_be_read_is_never_sold_again():
    other = ahead("other", 4, 4)
    hub = hub_of(holds_by_newer(PROMISED), on_the_wire(other))
    fleet = [
        (each, found)
        for each, (_, found) in zip(open_leases([WEST], hub.claims.unread()), west(), strict=True)
    ]

    refused = refusal_of(plan(view(hub.claims.all(), fleet)), other)

    assert isinstance(refused, Refuse)
    assert "take no new claims" in refused.message


def test_leases_that_it_doesnt_name_are_sold():
    assert open_leases([EAST], hub_of(holds_by_newer(PROMISED)).claims.unread()) == (EAST,)


@pytest.mark.parametrize("each", [BOUND, PROMISED], ids=["bound", "promised"])
def test_a_claim_that_cant_be_read_holds_what_its_status_names(each: GpuClaim):
    (found,) = unread_holders(hub_of(holds_by_newer(each)).claims.unread())

    allocation = each.status.allocation
    assert allocation is not None
    assert found.leases == allocation.lease_uids
    assert found.tenants == {as_tenant().metadata.uid}
    assert found.classes == {each.spec.class_name}


def test_of_what_it_left_behind_only_what_isnt_free_is_held():
    place = {"leaseUID": uid_of("old")}
    left = [{"sequence": 1, "placements": [place], "freedTime": "2026-11-22T10:00:00Z"}]
    body = changed(holds_by_newer(BOUND), leaving=left, outages=[place])

    (found,) = unread_holders(hub_of(body).claims.unread())

    assert uid_of("old") not in found.leases


def test_one_that_says_that_it_is_free_holds_nothing():
    said = [
        {"type": "Reserved", "status": "False", "reason": "Deleted"},
        {"type": "Releasing", "status": "False", "reason": "Released"},
    ]
    body = changed(holds_by_newer(BOUND), conditions=said)

    assert unread_holders([Unread("acme/train", "fault", body)]) == []


@pytest.mark.parametrize("status", ["?", {"conditions": "?"}, {"conditions": ["?"]}, {}])
def test_a_status_that_makes_no_sense_at_all_holds_up_nobody(status: Any):
    body = {**on_the_wire(BOUND), "status": status}

    assert unread_holders([Unread("acme/train", "fault", body)]) == []


def test_a_second_object_of_one_uid_holds_nothing_beside_the_first():
    first = adopted(restored(on_the_wire(BOUND), "first"))
    second = adopted(restored(on_the_wire(BOUND), "second"))
    second["metadata"]["name"] = "other"

    assert unread_holders(hub_of(first, second).claims.unread()) == []


def test_one_that_holds_something_is_told_beside_what_its_work_goes_on_by():
    found = told_once(holds_by_newer(BOUND), "status.allocation.untilCause: nonsense")

    said = {c["type"]: c for c in found.body["status"]["conditions"]}
    assert {"Ready", "Reserved", "Bound"} <= said.keys()
    assert said["Ready"]["reason"] == "Bound"
    assert (said["Stalled"]["status"], said["Stalled"]["reason"]) == ("True", "SpecUnread")
    assert "keep what it holds" in said["Stalled"]["message"]
    assert "untilCause" in said["Stalled"]["message"]


def test_one_that_holds_nothing_isnt_ready():
    found = conditions(told_once(senseless(as_claim(claim()))))

    assert (found["Ready"], found["Stalled"]) == ("False", "True")


def test_a_claim_is_told_once_and_keeps_all_else():
    once = told_once(holds_by_newer(BOUND))

    assert told_claim(once, NOW) is None
    kept = {k: v for k, v in once.body["status"].items() if k != "conditions"}
    assert kept == {k: v for k, v in holds_by_newer(BOUND)["status"].items() if k != "conditions"}


def test_its_word_too_is_for_the_claim_as_it_was_read():
    body = holds_by_newer(BOUND)
    put = told_claim(Unread("acme/train", "fault", body), NOW)

    assert put is not None
    meta = body["metadata"]
    assert (put["metadata"]["uid"], put["metadata"]["resourceVersion"]) == (meta["uid"], "999")


def test_one_that_has_ended_for_good_is_left_alone():
    ended = [{"type": "Ended", "status": "True", "reason": "Deleted"}]
    body = changed(holds_by_newer(BOUND), conditions=ended)

    assert told_claim(Unread("acme/train", "fault", body), NOW) is None


def test_one_that_waits_to_be_adopted_holds_what_it_held_and_stays_as_the_backup_has_it():
    each = Unread("acme/train", "fault", restored(holds_by_newer(BOUND)))

    assert told_claim(each, NOW) is None
    assert unread_holders([each])


def test_one_that_can_be_read_again_says_so_no_more_and_is_as_it_was():
    told_body = told_once(on_the_wire(BOUND)).body
    again = parsed(told_body)

    assert not is_caught_up(again)
    assert conditions_of(caught_up(again)) == conditions_of(BOUND.status)
    assert is_caught_up(BOUND)


def conditions_of(status: ClaimStatus) -> set[str]:
    return {f"{c.type}={c.status}" for c in status.conditions}
