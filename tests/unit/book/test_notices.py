"""Notices before a lease ends: each stage once, taken back when the lease is prolonged."""

import pytest

from sublet.api import bound_status, claim_status
from sublet.api.gpuclaim import Access
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Notice
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import held, inventory, nodes, view

HOUR, DAY = 3_600_000, 24 * 3_600_000


def bound(each, cause=ReleaseCause.LEASE_ENDED, end=None):
    until = end or each.spec.term.end_time
    found = held(as_claim(), each, nodes(each, 1), until_ms=until, cause=cause)
    access = Access(secret_name="s", clusters=())
    return found.model_copy(update={"status": claim_status.bound(found, NOW, access, NOW)})


def seen(found, each):
    return view([found], [(each, inventory(each, nodes(each, 1)))])


def told(found, each):
    return [d for d in plan(seen(found, each)).decisions if isinstance(d, Notice)]


def ending(ms: int):
    return as_lease(lease(end=format_instant(Millis(NOW + ms))))


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (30 * DAY, "EndsWithin30Days"),
        (8 * DAY, "EndsWithin30Days"),
        (7 * DAY, "EndsWithin7Days"),
        (DAY, "EndsWithin24Hours"),
        (HOUR, "EndsWithin1Hour"),
        (1, "EndsWithin1Hour"),
    ],
)
def test_a_tenant_is_told_how_near_the_end_is_and_when(left, reason):
    each = ending(left)

    (notice,) = told(bound(each), each)

    assert notice.reason == reason
    assert format_instant(Millis(NOW + left)) in notice.message


def test_nothing_is_said_earlier_and_the_book_looks_again_when_it_is_due():
    each = ending(31 * DAY)
    train = bound(each)

    assert told(train, each) == []
    assert plan(seen(train, each)).next_due_ms == NOW + DAY


def test_what_was_said_is_not_said_again_and_is_taken_back_when_the_lease_goes_on():
    each = ending(DAY)
    train = bound(each)
    (notice,) = told(train, each)
    status = bound_status.expiring(train, notice.reason, notice.message, NOW)
    warned = train.model_copy(update={"status": status})

    assert told(warned, each) == []
    prolonged = ending(90 * DAY)
    allocation = warned.status.allocation.model_copy(
        update={"until_time": prolonged.spec.term.end_time}
    )
    longer = warned.model_copy(
        update={"status": warned.status.model_copy(update={"allocation": allocation})}
    )
    (over,) = told(longer, prolonged)
    assert (over.reason, over.message) == ("NotExpiring", "")


def test_a_claim_that_ends_by_its_own_duration_is_told_nothing():
    each = as_lease()
    asked = {"schedule": {"durationSeconds": 1800}}
    own = held(as_claim(claim(**asked)), each, nodes(each, 1), until_ms=Millis(NOW + HOUR // 2))
    status = claim_status.bound(own, NOW, Access(secret_name="s", clusters=()), NOW)

    assert told(own.model_copy(update={"status": status}), each) == []
