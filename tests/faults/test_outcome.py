"""What a run leaves, and how often it wrote an object: judged by what that changed, as a protocol that begins anew is no loop."""

from typing import Any

import pytest

from tests.faults.journal import Entry, Journal, target_of
from tests.faults.outcome import claim_outcome, count_faults

QUOTA = "/api/v1/namespaces/home/resourcequotas/sublet"


def applied(*versions: int) -> list[Entry]:
    """Return a journal in which an object is applied again and again, and has then these versions."""
    journal = Journal()
    for at, version in enumerate(versions):
        target = target_of("PATCH", QUOTA, "application/apply-patch+yaml", {})
        entry = journal.note("west", target, {}, 1, b"")
        entry.status = 200 if at else 201
        entry.answer = {"metadata": {"resourceVersion": str(version)}}
    return list(journal)


def test_applying_what_stands_there_already_may_be_repeated():
    assert count_faults([applied(1)], applied(*[1] * 12)) == []


def test_applying_the_same_for_ever_is_a_loop():
    (fault,) = count_faults([applied(1)], applied(*[1] * 20))
    assert "apply again" in fault


def test_what_any_run_without_a_fault_does_is_usual():
    assert count_faults([[], applied(1)], applied(1)) == []
    (fault,) = count_faults([[], []], applied(1))
    assert "1 x create" in fault


def test_applying_something_else_each_time_is_a_loop_soon():
    (fault,) = count_faults([applied(1)], applied(*range(1, 7)))
    assert "5 x change" in fault


def test_each_of_two_operators_may_write_as_often_as_one():
    assert count_faults([applied(1)], applied(*range(1, 8)), operators=2) == []
    assert count_faults([applied(1)], applied(*range(1, 9)), operators=2) != []


def deletions(times: int) -> list[Entry]:
    """Return a journal in which an object was deleted so often."""
    journal = Journal()
    for _ in range(times):
        journal.note("west", target_of("DELETE", QUOTA, "", {}), {}, 1, b"").status = 200
    return list(journal)


@pytest.mark.parametrize(("operators", "most"), [(1, 2), (2, 3)])
def test_each_operator_may_delete_as_often_as_one_and_one_of_them_once_more(operators, most):
    assert count_faults([deletions(1)], deletions(most), operators=operators) == []
    (fault,) = count_faults([deletions(1)], deletions(most + 1), operators=operators)
    assert f"{most + 1} x delete" in fault


def lease_changes(times: int) -> list[Entry]:
    """Return a journal in which the status of a lease was written so often."""
    journal = Journal()
    path = "/apis/sublet.dev/v1alpha1/gpuleases/west/status"
    for version in range(times):
        target = target_of("PATCH", path, "application/json-patch+json", {})
        entry = journal.note("hub", target, {}, 1, b"")
        entry.status, entry.answer = 200, {"metadata": {"resourceVersion": str(version)}}
    return list(journal)


def test_a_lease_that_is_usually_left_alone_says_that_nothing_of_it_is_sold_for_a_while():
    assert count_faults([], lease_changes(5), leases_tell=1) == []
    assert count_faults([], lease_changes(5)) != []


def test_a_lease_that_never_stops_saying_so_is_a_loop():
    assert count_faults([lease_changes(1)], lease_changes(6), leases_tell=1) != []


def test_each_silence_of_its_cluster_is_told():
    assert count_faults([], lease_changes(7), leases_tell=2) == []
    assert count_faults([], lease_changes(8), leases_tell=2) != []


def test_other_objects_tell_of_no_silence():
    assert count_faults([applied(1)], applied(*range(1, 7)), leases_tell=2) != []


def left(*, told: str | None = None, ended_by: str | None = None) -> dict[str, Any]:
    """Return what is left of a claim that was told of an end, and was released."""
    release = {"release": {"cause": ended_by}} if ended_by else {}
    status = {"allocation": {"untilCause": told}, **release}
    return claim_outcome({"metadata": {"generation": 1}, "status": status})


def test_an_end_that_came_while_the_operator_was_away_is_the_same_end():
    assert left(ended_by="LeaseEnded") == left(told="LeaseEnded", ended_by="LeaseEnded")


def test_another_end_is_a_difference_and_so_is_a_notice_of_a_claim_that_stays():
    assert left(ended_by="Completed") != left(ended_by="LeaseEnded")
    assert left(told="LeaseEnded") != left()
