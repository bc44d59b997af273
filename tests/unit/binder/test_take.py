"""What a release that was decided some time ago is written as."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import pytest

from sublet.api import bound_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import ReleaseCause
from sublet.binder.work import Works
from sublet.book.decisions import Take
from sublet.book.told import first_words
from tests.builders.api import NOW, as_claim
from tests.builders.clusters import Hub, tools_of
from tests.builders.fleet import held
from tests.builders.moves import leased, running
from tests.builders.windows import at

WEST, END = leased("west"), at(4)


def taken(
    each: GpuClaim,
    release_ms: int,
    cause: ReleaseCause = ReleaseCause.COMPLETED,
    *,
    live: GpuClaim | None = None,
    told_ms: int | None = None,
) -> GpuClaim | None:
    """Return the claim as the first write of a release leaves it, None if there is none; `live`: as the hub has it."""
    written: list[GpuClaim] = []

    async def write(claim, status):
        written.append(claim.model_copy(update={"status": status}))
        raise asyncio.CancelledError

    tools = tools_of(Hub(live or each), {}, {})
    tools.slots = SimpleNamespace()
    decision = Take(each.metadata.uid, cause, release_ms, told_ms=told_ms)
    with suppress(asyncio.CancelledError):
        asyncio.run(Works(tools, write).take(decision)(each, lambda: None))
    return written[0] if written else None


@pytest.mark.parametrize(("decided", "billed_until"), [(-1_000, 0), (0, 0), (5_000, 5_000)])
def test_a_claim_is_never_billed_until_before_it_was_handed_over(decided: int, billed_until: int):
    each = running(WEST)
    bound_ms = each.status.allocation.bound_time

    release = taken(each, bound_ms + decided).status.release

    assert release.release_time == bound_ms + billed_until


@pytest.mark.parametrize(
    ("cause", "is_written"),
    [
        (ReleaseCause.COMPLETED, False),
        (ReleaseCause.SUSPENDED, False),
        (ReleaseCause.LEASE_ENDED, True),
    ],
)
def test_what_the_tenant_asks_for_by_now_ends_no_claim_by_what_it_asked_for_before(
    cause: ReleaseCause, *, is_written: bool
):
    each = running(WEST)
    meta = each.metadata.model_copy(update={"generation": each.metadata.generation + 1})
    edited = each.model_copy(update={"metadata": meta})

    assert (taken(each, 0, cause, live=edited) is not None) is is_written


@pytest.mark.parametrize(
    ("told", "is_written"),
    [(None, False), (END - 1, False), (END, True)],
    ids=["nothing", "another end", "it"],
)
def test_an_end_is_written_only_where_the_hub_has_told_the_claim_of_it(
    told: int | None, *, is_written: bool
):
    each = running(WEST)
    message = first_words(ReleaseCause.LEASE_ENDED, told) if told is not None else ""
    status = bound_status.expiring(each, "EndsWithin1Hour", message, NOW)
    live = each.model_copy(update={"status": status})

    release = taken(each, END, ReleaseCause.LEASE_ENDED, live=live, told_ms=END)

    assert (release is not None) is is_written


def test_a_claim_that_isnt_bound_yet_ends_without_a_notice():
    each, found = WEST
    binding = held(as_claim(), each, list(found.nodes.values())[:1], until_ms=END)

    assert taken(binding, END, ReleaseCause.LEASE_ENDED, told_ms=END) is not None
