"""When the book looks again: at every instant at which the same objects would be decided differently."""

from dataclasses import replace

import pytest

from sublet.api.times import Millis, format_instant
from sublet.book.plan import plan
from tests.builders.api import LONG_AGO, NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import after, held, inventory, nodes, view

HOUR = 3_600_000


def at(hours: float) -> Millis:
    return Millis(NOW + int(hours * HOUR))


def text(hours: float) -> str:
    return format_instant(at(hours))


def seen_with(body=None, *claims, classes=None, count=1):
    each = as_lease(body)
    return view(claims, [(each, inventory(each, nodes(each, count)))], classes=classes)


def phased(*steps: tuple[float, int]):
    phases = [{"commitmentId": "0", "startTime": LONG_AGO, "gpus": 64}] + [
        {"commitmentId": str(hour), "startTime": text(hour), "gpus": gpus} for hour, gpus in steps
    ]
    return lease(commitment={"phases": phases})


def prices(hour: float):
    return [
        {"effectiveTime": LONG_AGO, "perGpuHour": "3.99"},
        {"effectiveTime": text(hour), "perGpuHour": "1.99"},
    ]


@pytest.mark.parametrize(
    ("seen", "hours"),
    [
        (seen_with(), None),
        (seen_with(lease(end=text(5))), 5),
        (seen_with(lease(end=text(5), term={"drainSeconds": 3600})), 4),
        (seen_with(lease(term={"startTime": text(2)})), 2),
        (seen_with(phased((3, 8), (2, 0))), 2),
        (seen_with(lease(prices=prices(3))), 3),
        (seen_with(None, classes=(as_class(gpu_class(prices=prices(7))),)), 7),
        (seen_with(lease(end=text(-1))), None),
    ],
)
def test_whatever_begins_or_ends_by_itself_is_looked_at_again(seen, hours):
    assert plan(seen).next_due_ms == (at(hours) if hours is not None else None)


def test_the_end_of_a_claim_is_looked_at_from_the_pass_that_decides_it_on():
    train = as_claim(claim(schedule={"durationSeconds": 3600}))
    seen = seen_with(None, train)
    made = plan(seen)

    assert made.next_due_ms == at(1)
    assert plan(after(seen, made)).next_due_ms == at(1)
    longer = as_claim(claim(schedule={"durationSeconds": 7200}))
    short = held(longer, seen.leases[0], nodes(seen.leases[0], 1), until_ms=at(3))
    assert plan(seen_with(None, short)).next_due_ms == at(2)


def test_an_end_that_has_passed_isnt_due_again():
    each = as_lease()
    over = held(as_claim(), each, nodes(each, 1), until_ms=at(-1))

    assert plan(seen_with(None, over)).next_due_ms is None


@pytest.mark.parametrize("body", [lease(end=text(5)), phased((5, 0))], ids=["lease", "step"])
@pytest.mark.parametrize("limit", ["claim", "class"])
def test_a_claim_that_waits_is_looked_at_when_its_end_moves_past_what_would_hold_it(body, limit):
    """It would last four hours; from one hour on that is too long."""
    four = {"schedule": {"durationSeconds": 4 * 3600}} if limit == "claim" else {}
    offer = gpu_class(**({"maxDurationSeconds": 4 * 3600} if limit == "class" else {}))
    waits = as_claim(claim(gpus=64, **four))
    seen = seen_with(body, waits, classes=(as_class(offer),))
    due = plan(seen).next_due_ms

    assert due == at(1) + 1
    if limit == "claim":
        before, then = (plan(replace(seen, now_ms=Millis(t))).decisions for t in (due - 1, due))
        assert before == plan(seen).decisions != then


def test_a_claim_that_waits_is_looked_at_when_its_class_ends_its_window():
    waits = as_claim(claim(gpus=64, schedule={"startTime": text(-1)}))
    seen = seen_with(None, waits, classes=(as_class(gpu_class(maxDurationSeconds=3 * 3600)),))

    assert plan(seen).next_due_ms == at(2)


def test_a_claim_that_was_served_needs_no_look_for_that():
    short = as_claim(claim(schedule={"durationSeconds": 4 * 3600}))

    assert plan(seen_with(lease(end=text(5)), short)).next_due_ms == at(4)


def test_the_book_looks_again_when_a_waiting_claim_would_run_into_a_promise():
    west = as_lease(lease(committed=16))
    fleet = [(west, inventory(west, nodes(west, 2)))]
    start = {"startTime": format_instant(NOW + 4 * HOUR), "durationSeconds": 3_600}
    seen = view([as_claim(claim("ahead", gpus=16, schedule=start))], fleet)
    promised = after(seen, plan(seen)).claims
    body = claim("long", gpus=24, schedule={"durationSeconds": 3 * 3_600})

    assert plan(view([*promised, as_claim(body)], fleet)).next_due_ms == NOW + HOUR + 1
