"""What a plan takes for a silence: what leases said, and what of it is over."""

from typing import Any

import pytest

from tests.faults.journal import Entry, Journal, target_of
from tests.faults.outcome import differences
from tests.faults.silence import silences, without_silence


def told(
    *instants: int, reachable: str = "Unknown", lease: str = "west", status: int = 200
) -> list[Entry]:
    """Return a journal in which a lease says what it says of its cluster since these instants, one write each."""
    journal = Journal()
    for instant in instants:
        path = f"/apis/sublet.dev/v1alpha1/gpuleases/{lease}/status"
        entry = journal.note("hub", target_of("PATCH", path, "", {}), {}, 1, b"")
        entry.status = status
        said = {"type": "Reachable", "status": reachable, "lastTransitionTime": str(instant)}
        entry.answer = {"status": {"conditions": [said]} if status == 200 else "Failure"}
    return list(journal)


def test_a_silence_counts_once_however_often_it_is_told():
    assert silences(told(1, 1, 1)) == 1


def test_each_silence_of_each_lease_counts():
    assert silences([*told(1, 2), *told(1, lease="east")]) == 3


def test_a_cluster_that_answers_isnt_silent():
    assert silences(told(1, reachable="True")) == 0


def test_what_was_refused_is_said_by_nobody():
    assert silences(told(1, status=409)) == 0


def ended_in(reachable: str | None, *more_lines: str) -> dict[str, Any]:
    """Return an outcome with one claim, that says this of its cluster, and lines of its ledger."""
    said = {"Bound": "True Bound"} | ({"Reachable": reachable} if reachable else {})
    lines = ["bound open 1 8", *more_lines]
    return {"claims": {"train": {"conditions": said}}, "ledger": {"train": lines}}


def test_a_silence_that_is_over_is_no_difference():
    after = ended_in("True Answers", "disputed close 1 8", "disputed open 1 8")

    assert differences(ended_in(None), after) != []
    assert differences(without_silence(ended_in(None)), without_silence(after)) == []


@pytest.mark.parametrize("after", [ended_in("Unknown Unreachable"), ended_in(None, "bound close 1 8")])  # fmt: skip
def test_one_that_lasts_or_ends_something_is_a_difference(after: dict[str, Any]):
    assert differences(without_silence(ended_in(None)), without_silence(after)) != []
