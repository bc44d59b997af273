"""Whatever the book or a look at a cluster tells a bound claim has a row in the table of Events."""

import pytest

from sublet.api.event_reasons import EventReason
from sublet.api.move_status import MOVING
from sublet.api.relocation import ReleaseCause
from sublet.book.clocks import CLOCK_BEHIND
from sublet.book.failures import NODE_FAILED
from sublet.book.floating import ABOVE
from sublet.book.notices import STAGES
from sublet.book.silence import UNREACHABLE_FOR_1_HOUR
from sublet.book.unproven import ISOLATION_UNPROVEN
from sublet.drift.finding import Reason

TOLD = (
    *(reason for _, reason in STAGES),
    *(r.value for r in Reason),
    MOVING,
    ReleaseCause.PREEMPTED.value,
    ReleaseCause.BUDGET_EXHAUSTED.value,
    NODE_FAILED,
    UNREACHABLE_FOR_1_HOUR,
    CLOCK_BEHIND,
    ABOVE,
    ISOLATION_UNPROVEN,
)


@pytest.mark.parametrize("reason", TOLD)
def test_what_a_claim_is_told_is_a_reason_of_an_event(reason: str):
    assert EventReason(reason) == reason
