"""What a release that was decided some time ago is written as."""

import asyncio
from types import SimpleNamespace

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import ReleaseCause
from sublet.binder.work import Works
from sublet.book.decisions import Take
from tests.builders.clusters import Hub, tools_of
from tests.builders.moves import leased, running

WEST = leased("west")


def taken(each: GpuClaim, release_ms: int) -> GpuClaim:
    """Return the claim as the first write of a release leaves it."""
    written: list[GpuClaim] = []

    async def write(claim, status):
        written.append(claim.model_copy(update={"status": status}))
        raise asyncio.CancelledError

    tools = tools_of(Hub(each), {}, {})
    tools.slots = SimpleNamespace()
    decision = Take(each.metadata.uid, ReleaseCause.COMPLETED, release_ms)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Works(tools, write).take(decision)(each, lambda: None))
    return written[0]


@pytest.mark.parametrize(("decided", "billed_until"), [(-1_000, 0), (0, 0), (5_000, 5_000)])
def test_a_claim_is_never_billed_until_before_it_was_handed_over(decided: int, billed_until: int):
    each = running(WEST)
    bound_ms = each.status.allocation.bound_time

    release = taken(each, bound_ms + decided).status.release

    assert release.release_time == bound_ms + billed_until
