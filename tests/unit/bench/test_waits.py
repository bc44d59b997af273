"""A bind that waited on another leased cluster is told from one that waited by itself."""

import pytest

from tests.bench.waits import Wait, behind, bind_of, waits_of
from tests.builders.traces import CLAIM, request
from tests.harness.tracing import Request

OTHER = "uid-of-another"
STATUS = "/apis/sublet.dev/v1alpha1/namespaces/bench/gpuclaims/train/status"


def bound(begun: float, ended: float, **changed: str) -> Request:
    body = f'{CLAIM} "boundTime"'
    return request(begun, ended, method="PUT", path=STATUS, **{"body": body, **changed})


def test_a_bind_is_what_was_asked_for_its_claim_until_bound_was_written():
    first, last = request(1, 2), bound(3, 4)
    refused = bound(2.5, 2.9, failed="Conflict")
    later, foreign = request(5, 6), request(1, 2, OTHER)

    assert bind_of(CLAIM, [later, last, refused, foreign, first]) == [first, refused, last]


def test_a_bind_without_an_end_is_said():
    with pytest.raises(AssertionError, match=CLAIM):
        bind_of(CLAIM, [request(1, 2)])


def test_the_wait_before_the_first_request_counts():
    assert list(waits_of(10, [request(13, 14)])) == [Wait(10, 13)]


def test_no_wait_is_seen_while_a_request_is_under_way():
    bind = [request(10, 15), request(11, 12), request(13, 20), request(20, 21)]

    assert list(waits_of(10, bind)) == []


def test_a_wait_lies_between_the_last_answer_and_the_next_request():
    bind = [request(10, 15), request(11, 12), request(18, 19)]

    assert list(waits_of(10, bind)) == [Wait(15, 18)]


DARK = [request(0, 5, OTHER, failed="Unreachable")]


@pytest.mark.parametrize(
    ("wait", "is_behind"),
    [
        (Wait(1, 5.01), True),
        (Wait(1, 5.5), False),  # it was over long before
        (Wait(1, 4.99), False),  # it went on without it
        (Wait(4, 5.01), False),  # no longer than binds wait anyway
    ],
)
def test_a_long_wait_that_ends_with_a_request_to_the_other_cluster_was_for_it(
    wait: Wait, is_behind: bool
):
    assert behind([wait], DARK, usual_seconds=2) == ([wait] if is_behind else [])
