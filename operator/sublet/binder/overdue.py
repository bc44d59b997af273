"""What a claim is told of nodes that it left and that don't come free in time. Written for tenants and the platform team.

The claim lives on elsewhere and stays Ready, so no condition of it says that its old nodes hang: an Event does, again
each hour while it lasts. Asking after each of them all the time would leave the claim free for nothing else.
"""

from typing import Final

from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import Leaving
from sublet.api.times import format_instant
from sublet.api.wording import how_many
from sublet.binder.ports import StillThere, Tools
from sublet.book.holdings import RELEASE_MS
from sublet.book.rests import rested_ms

APART_SECONDS: Final = 30.0
"""Between two tries. One lasts ten seconds, longer where pods are asked to end one by one, and nothing else can be done for the claim
meanwhile."""


def overdue(claim: GpuClaim, left: Leaving, reason: Exception, tools: Tools) -> Exception:
    """Return what is to be waited for; what should have come free by now is said, and asked about less often."""
    rests = isinstance(reason, StillThere) and reason.rests
    since = rested_ms(left.placements, left.release_time, left.vacated_time, tools.lease)
    if rests or tools.clock.now_ms() < since + RELEASE_MS:
        return reason
    number, at = len(left.placements), format_instant(left.release_time)
    verb = "isn't" if number == 1 else "aren't all"
    message = f"{how_many(number, 'node')} that it left at {at} {verb} free yet: {reason}"
    tools.events.note(claim, EventReason.RELEASE_OVERDUE, message)
    return StillThere(str(reason), APART_SECONDS) if isinstance(reason, StillThere) else reason
