"""A block of fourteen days that ends at 11:30 UTC, and the half hour or hour before it that the landlord takes: to the ms."""

from dataclasses import replace

import pytest

from sublet.api import claim_status
from sublet.api.gpuclaim import Access, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.pending import PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant, parse_instant
from sublet.book.decisions import Extend, Notice, Take
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import as_claim, as_lease, claim, lease
from tests.builders.fleet import after, inventory, nodes, refusal_of, reserve_of, view, with_notices

MINUTE, HOUR = 60_000, 3_600_000
BEGIN: Millis = parse_instant("2026-11-24T11:30:00Z")
END: Millis = parse_instant("2026-12-08T11:30:00Z")
pytestmark = pytest.mark.parametrize("lead", [30, 60], ids="{} minutes of lead".format)


def block(lead: int) -> GpuLease:
    term = {"startTime": format_instant(BEGIN), "reclaimLeadSeconds": lead * 60}
    return as_lease(lease("block", committed=16, end=format_instant(END), term=term))


def last(lead: int) -> Millis:
    """Return the first instant at which no claim may run."""
    return Millis(END - lead * MINUTE)


def asking(name: str, hours: float | None, start: int | None = None) -> GpuClaim:
    schedule: dict[str, object] = {}
    if hours is not None:
        schedule["durationSeconds"] = int(hours * 3600)
    if start is not None:
        schedule["startTime"] = format_instant(Millis(start))
    return as_claim(claim(name, schedule=schedule))


def seen(lead: int, now: int, *claims: GpuClaim) -> View:
    each = block(lead)
    return view(claims, [(each, inventory(each, nodes(each, 2)))], now_ms=Millis(now))


def running(lead: int, now: int, hours: float | None) -> View:
    """Return a bound claim."""
    first = seen(lead, now, asking("train", hours))
    (train,) = after(first, plan(first)).claims
    access = Access(secret_name="s", clusters=())
    status = claim_status.bound(train, Millis(now), access, Millis(now))
    return seen(lead, now, train.model_copy(update={"status": status}))


def test_a_claim_may_end_with_the_last_usable_instant_and_not_a_millisecond_later(lead):
    train = asking("train", 2)

    made = plan(seen(lead, last(lead) - 2 * HOUR, train))
    reserved = reserve_of(made, train)
    assert (reserved.until_ms, reserved.until_cause) == (last(lead), ReleaseCause.COMPLETED)
    late = refusal_of(plan(seen(lead, last(lead) - 2 * HOUR + 1, train)), train)
    assert late.reason is PendingReason.EXCEEDS_LEASE_TERM
    assert f"can be used until {format_instant(last(lead))}" in late.message


def test_it_begins_with_its_first_instant_and_a_claim_before_waits_for_that(lead):
    train = asking("train", 2)

    early = refusal_of(plan(seen(lead, BEGIN - 1, train)), train)
    assert early.estimated_ms == BEGIN
    assert plan(seen(lead, BEGIN - 1, train)).next_due_ms == BEGIN
    assert reserve_of(plan(seen(lead, BEGIN, train)), train).until_ms == BEGIN + 2 * HOUR


def test_the_whole_block_can_be_had_but_for_the_lead(lead):
    whole = asking("whole", (last(lead) - BEGIN) / HOUR)

    assert reserve_of(plan(seen(lead, BEGIN, whole)), whole).until_ms == last(lead)


def test_an_open_ended_claim_ends_with_the_last_usable_instant(lead):
    train = asking("train", None)

    made = reserve_of(plan(seen(lead, last(lead) - 1, train)), train)
    assert (made.until_ms, made.until_cause) == (last(lead), ReleaseCause.LEASE_ENDED)
    over = refusal_of(plan(seen(lead, last(lead), train)), train)
    assert over.reason is PendingReason.EXCEEDS_LEASE_TERM


def test_a_window_is_promised_up_to_the_last_usable_instant(lead):
    fits, exceeds = (asking(n, 3, last(lead) - 3 * HOUR + late) for n, late in (("a", 0), ("b", 1)))

    assert reserve_of(plan(seen(lead, BEGIN, fits)), fits).until_ms == last(lead)
    refused = refusal_of(plan(seen(lead, BEGIN, exceeds)), exceeds)
    assert refused.reason is PendingReason.EXCEEDS_LEASE_TERM


def test_an_extension_reaches_the_last_usable_instant_and_no_further(lead):
    begun = last(lead) - 4 * HOUR
    view_ = running(lead, begun, 1)
    (train,) = view_.claims
    for hours, cause in ((4, ReleaseCause.COMPLETED), (5, ReleaseCause.LEASE_ENDED)):
        schedule = train.spec.schedule.model_copy(update={"duration_seconds": hours * 3600})
        longer = train.model_copy(
            update={"spec": train.spec.model_copy(update={"schedule": schedule})}
        )

        (made,) = plan(replace(view_, claims=(longer,))).decisions
        assert made == Extend(made.claim_uid, last(lead), cause)


@pytest.mark.parametrize(
    ("before_hours", "reason"),
    [(7 * 24, "EndsWithin7Days"), (24, "EndsWithin24Hours"), (1, "EndsWithin1Hour")],
)
def test_its_tenants_are_told_to_the_millisecond(lead, before_hours, reason):
    view_ = running(lead, BEGIN, None)
    when = Millis(last(lead) - before_hours * HOUR)

    def said(now: int) -> str:
        (notice,) = [
            d for d in plan(replace(view_, now_ms=Millis(now))).decisions if isinstance(d, Notice)
        ]
        assert f"taken back at {format_instant(last(lead))}" in notice.message
        return notice.reason

    assert said(when) == reason
    assert said(when - 1) != reason
    assert said(BEGIN) == "EndsWithin30Days"


def test_it_is_taken_back_at_the_last_usable_instant_and_not_before(lead):
    view_ = running(lead, BEGIN, None)

    before = plan(replace(view_, now_ms=Millis(last(lead) - 1)))
    assert not [d for d in before.decisions if isinstance(d, Take)]
    assert before.next_due_ms == last(lead)
    (taken,) = plan(with_notices(replace(view_, now_ms=last(lead)))).decisions
    assert isinstance(taken, Take)
    assert (taken.cause, taken.release_ms) == (ReleaseCause.LEASE_ENDED, last(lead))
