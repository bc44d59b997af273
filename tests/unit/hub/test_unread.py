"""What is said to an object that can't be read, whose namespaces it keeps, and what it holds."""

from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.book.decisions import Warn
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.hub.state import HubState, Unread
from sublet.hub.unread import (
    caught_up,
    is_caught_up,
    kept_holders,
    namespaces_of_unread,
    told_claim,
    told_patch,
    unread_holders,
)
from tests.builders.api import NOW, as_claim, as_tenant, claim, tenant, uid_of
from tests.builders.fleet import carried_out, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.moves import leased, running
from tests.builders.restored import Body, adopted, on_the_wire, parsed, restored
from tests.builders.unread import holds_by_newer, senseless, unread, unread_tenant
from tests.builders.windows import EAST, Fleet, ahead, at, promised, west

BODY = unread_tenant(as_tenant(tenant(namespaces=("acme", "acme-lab"))))
ACME = Unread("acme", "spec.suspended: should be a boolean", BODY)
BOUND = running(leased("west"))
BOUND_PRICE = allocation_of(BOUND).price_per_gpu_hour
PROMISED = promised(ahead("mine", 4, 4))
IN_EAST = [(EAST, inventory(EAST, nodes(EAST, 2)))]
MOVED = holds_by_newer(promised(ahead("mine", 4, 4), IN_EAST))
"""The same claim after a newer version gave it other nodes."""
OTHER = ahead("other", 4, 4)
MINE = ahead("mine", 4, 8, 8)


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


def seen(hub: HubState, fleet: Fleet, **fields: Any) -> View:
    """Return what a pass is given of a hub's claims."""
    return view(hub.claims.all(), fleet, unread=unread_holders(hub.claims), **fields)


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
    hub = hub_of(holds_by_newer(PROMISED), on_the_wire(OTHER))

    refused = refusal_of(plan(seen(hub, west())), OTHER)

    assert "take no new claims" in refused.message


def test_leases_that_it_doesnt_name_are_sold():
    hub = hub_of(holds_by_newer(PROMISED), on_the_wire(OTHER))

    given = reserve_of(plan(seen(hub, [*west(), *IN_EAST])), OTHER)

    assert {b.lease for b in given.bookings} == {"east"}


def test_what_it_had_when_it_was_read_last_is_held_beside_what_it_has_now():
    hub = hub_of(on_the_wire(PROMISED), MOVED, on_the_wire(OTHER))

    refused = refusal_of(plan(seen(hub, [*west(), *IN_EAST])), OTHER)

    assert "16 take no new claims" in refused.message
    assert "none of them for the whole time asked for" in refused.message


def test_a_node_that_it_was_promised_is_no_other_promises():
    """Two nodes were promised, and one is left."""
    newer = promised(ahead("newer", 4, 4, 8))
    mine = carried_out(MINE, reserve_of(plan(view([newer, MINE], west())), MINE))
    hub = hub_of(holds_by_newer(newer), on_the_wire(mine))

    made = plan(seen(hub, west(1), now_ms=at(4.1)))

    assert [type(d) for d in made.decisions] == [Warn]


def test_a_window_that_it_was_promised_is_read_as_it_stands():
    (found,) = unread_holders(hub_of(holds_by_newer(PROMISED)).claims)

    assert found.bookings == allocation_of(PROMISED).bookings
    assert (found.from_ms, found.until_ms) == (at(4), at(8))


@pytest.mark.parametrize(
    "odd",
    [
        {"untilTime": "sometime"},
        {"bookings": [{"leaseUID": "x", "nodes": 2, "gpusPerNode": 8}, "?", {}]},
        {"placements": [{"gpus": 8}]},
    ],
    ids=["no end", "no bookings", "nodes"],
)
def test_what_it_was_promised_for_sure_needs_an_end_bookings_and_no_nodes(odd: dict[str, Any]):
    body = holds_by_newer(PROMISED)
    allocation = {**body["status"]["allocation"], **odd}

    found = Unread("acme/mine", "fault", changed(body, allocation=allocation)).holder

    assert found is not None
    assert found.bookings == ()


def test_no_promise_is_sure_without_its_start_or_once_it_is_given_up():
    body = holds_by_newer(PROMISED)
    leaving = [{"type": "Releasing", "status": "True", "reason": "Suspended"}]

    for each in (unread(PROMISED), changed(body, conditions=leaving)):
        found = Unread("acme/mine", "fault", each).holder
        assert found is not None
        assert found.bookings == ()


def test_its_gpus_count_once_whichever_version_of_it_names_them():
    (found,) = unread_holders(hub_of(MOVED).claims)
    (beside,) = unread_holders(hub_of(on_the_wire(PROMISED), MOVED).claims)

    assert (found.gpus, beside.gpus) == (16, 0)
    assert beside.leases == {EAST.metadata.uid}


@pytest.mark.parametrize("each", [BOUND, PROMISED], ids=["bound", "promised"])
def test_a_claim_that_cant_be_read_holds_what_its_status_names(each: GpuClaim):
    (found,) = unread_holders(hub_of(holds_by_newer(each)).claims)

    allocation = each.status.allocation
    assert allocation is not None
    assert found.gpus == allocation.gpus
    assert (found.price, found.currency) == (allocation.price_per_gpu_hour, allocation.currency)
    assert found.is_billed == (allocation.bound_time is not None)
    assert found.leases == allocation.lease_uids
    assert found.tenants == {as_tenant().metadata.uid}
    assert found.classes == {each.spec.class_name}


def test_of_what_it_left_behind_only_what_isnt_free_is_held():
    place = {"leaseUID": uid_of("old")}
    left = [{"sequence": 1, "placements": [place], "freedTime": "2026-11-22T10:00:00Z"}]
    body = changed(holds_by_newer(BOUND), leaving=left, outages=[place])

    (found,) = unread_holders(hub_of(body).claims)

    assert uid_of("old") not in found.leases


def test_one_that_says_that_it_is_free_holds_nothing():
    said = [
        {"type": "Reserved", "status": "False", "reason": "Deleted"},
        {"type": "Releasing", "status": "False", "reason": "Released"},
    ]
    body = changed(holds_by_newer(BOUND), conditions=said)

    assert Unread("acme/train", "fault", body).holder is None


ODD: list[tuple[dict[str, Any], int]] = [
    ({"placements": "?", "bookings": "?"}, 0),
    ({"placements": ["?", {"gpus": True}, {"gpus": "8"}, {"gpus": -8}, {"gpus": 4}]}, 4),
    ({"placements": [], "bookings": [{"nodes": 2, "gpusPerNode": 8}, {"nodes": 3}]}, 16),
    ({"pricePerGpuHour": 2.5, "currency": None}, 8),
    ({"pricePerGpuHour": "1,5"}, 8),
]


@pytest.mark.parametrize(("odd", "gpus"), ODD)
def test_what_it_holds_counts_as_far_as_it_can_be_read(odd: dict[str, Any], gpus: int):
    body = holds_by_newer(BOUND)
    allocation = {**body["status"]["allocation"], **odd}

    found = Unread("acme/train", "fault", changed(body, allocation=allocation)).holder

    assert found is not None
    assert found.gpus == gpus
    assert found.price == (0 if "pricePerGpuHour" in odd else BOUND_PRICE)


@pytest.mark.parametrize("status", ["?", {"conditions": "?"}, {"conditions": ["?"]}, {}])
def test_a_status_that_makes_no_sense_at_all_holds_up_nobody(status: Any):
    body = {**on_the_wire(BOUND), "status": status}

    assert Unread("acme/train", "fault", body).holder is None


def test_a_second_object_of_one_uid_holds_nothing_beside_the_first_and_says_so():
    first = adopted(restored(on_the_wire(BOUND), "first"))
    second = adopted(restored(on_the_wire(BOUND), "second"))
    second["metadata"]["name"] = "other"
    hub = hub_of(first, second)

    (twin,) = hub.claims.untaken()
    put = told_claim(twin, NOW)

    assert unread_holders(hub.claims) == ()
    assert put is not None
    said = {c["type"]: c for c in put["status"]["conditions"]}
    assert (said["Ready"]["status"], said["Stalled"]["status"]) == ("False", "True")
    assert "delete one of the two" in said["Stalled"]["message"]
    assert "keep what it holds" not in said["Stalled"]["message"]


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


def test_where_its_list_is_full_the_last_of_others_conditions_gives_way():
    body = holds_by_newer(BOUND)
    own = body["status"]["conditions"]
    theirs = [
        {"type": f"Theirs{x}", "status": "True", "reason": "X"}
        for x in "ABCDEFGHIJKLMNOP"[len(own) :]
    ]

    found = told_once(changed(body, conditions=[*theirs, *own]))

    types = [c["type"] for c in found.body["status"]["conditions"]]
    assert types == [*(c["type"] for c in (*theirs[:-1], *own)), "Stalled"]


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
    assert each.holder is not None


@pytest.mark.parametrize("each", [BOUND, PROMISED], ids=["bound", "promised"])
def test_what_waits_to_be_adopted_is_held_as_the_backup_has_it(each: GpuClaim):
    (found,) = kept_holders(hub_of(restored(on_the_wire(each))).claims)

    held, is_promise = allocation_of(each), each is PROMISED
    assert (found.key, found.awaited_uid) == (each.metadata.key, each.metadata.uid)
    assert (found.classes, found.tenants) == (
        frozenset({each.spec.class_name}),
        frozenset({held.tenant_uid}),
    )
    assert (found.gpus, found.from_ms) == (held.gpus, at(4) if is_promise else 0)
    assert (found.bookings, found.is_billed) == (held.bookings, not is_promise)
    assert (found.price, found.currency) == (held.price_per_gpu_hour, held.currency)
    assert found.leases == set()


def test_what_was_being_given_back_counts_until_it_is_adopted_and_costs_and_keeps_nothing():
    leaving = [{"type": "Releasing", "status": "True", "reason": "Suspended", "message": ""}]
    body = changed(on_the_wire(PROMISED), conditions=leaving)

    (found,) = kept_holders(hub_of(restored(body)).claims)

    assert (found.gpus, len(found.bookings), float(found.price)) == (16, 0, 0)


def test_one_that_waits_to_be_adopted_and_cant_be_read_is_held_once():
    hub = hub_of(restored(on_the_wire(BOUND)), restored(holds_by_newer(BOUND), version="51"))

    (found,) = kept_holders(hub.claims)

    assert found.awaited_uid is None


def test_what_waits_to_be_adopted_and_held_nothing_holds_nothing():
    assert kept_holders(hub_of(restored(on_the_wire(OTHER))).claims) == ()


def test_one_that_can_be_read_again_says_so_no_more_and_is_as_it_was():
    told_body = told_once(on_the_wire(BOUND)).body
    again = parsed(told_body)

    assert not is_caught_up(again)
    assert conditions_of(caught_up(again)) == conditions_of(BOUND.status)
    assert is_caught_up(BOUND)


def conditions_of(status: ClaimStatus) -> set[str]:
    return {f"{c.type}={c.status}" for c in status.conditions}


def test_a_late_answer_displaces_no_later_word_of_a_newer_version():
    written = on_the_wire(BOUND)
    hub = hub_of(on_the_wire(BOUND))
    hub.claims.take(holds_by_newer(BOUND, version="1003"))

    for late in (holds_by_newer(BOUND, version="1002"), stamped(written, "1002")):
        hub.claims.take(late)

    (found,) = hub.claims.untaken()
    assert found.body["metadata"]["resourceVersion"] == "1003"
    hub.claims.take(stamped(written, "1004"))
    assert hub.claims.untaken() == ()


def stamped(body: Body, version: str) -> Body:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
