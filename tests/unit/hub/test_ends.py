"""What the loop does with claims whose lease is over: it tells them first, and takes back whoever the hub says was told."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api import bound_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Take
from sublet.book.told import first_words
from sublet.hub.state import HubState
from sublet.kube.errors import Forbidden
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import bound, held
from tests.harness.fake_api import eventually
from tests.harness.loop import NODES, WEST, WordlessHub, due, parts, recording_loop, teach

OVER = Millis(NOW - 1_000)


def at_version(each: GpuClaim, version: str) -> GpuClaim:
    meta = each.metadata.model_copy(update={"resource_version": version})
    return each.model_copy(update={"metadata": meta})


def with_ended_lease(state: HubState) -> GpuClaim:
    """Put a claim there whose lease ended a moment ago, and that was told nothing."""
    state.leases.put(as_lease(lease(end=format_instant(OVER)), resourceVersion="5"))
    runs = held(
        as_claim(claim("a")), WEST, NODES[:1], until_ms=OVER, cause=ReleaseCause.LEASE_ENDED
    )
    untold = bound(runs, Millis(NOW - 60_000))
    state.claims.put(untold)
    return untold


async def test_an_end_is_told_and_taken_in_the_pass_after_that():
    loop, state, told = recording_loop()
    taken = taking(told)
    untold = with_ended_lease(state)

    await loop.look()
    assert (told.said, taken) == ([("a", "Notice")], [])

    words = first_words(ReleaseCause.LEASE_ENDED, OVER)
    status = bound_status.expiring(untold, "EndsWithin1Hour", words, NOW)
    state.claims.put(at_version(untold.model_copy(update={"status": status}), "1000"))
    await loop.look()
    assert taken == ["a"]


async def test_an_end_is_told_though_clusters_and_ledger_were_never_heard_yet():
    loop, state, told = recording_loop()
    told.settled = False
    with_ended_lease(state)
    state.claims.put(as_claim(claim("waits", suspended=True)))

    await loop.look()

    assert told.said == [("a", "Notice")]


async def test_while_the_hub_takes_no_notice_nothing_ends_and_it_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("sublet.hub.teller.wait_seconds", lambda *_: 0.01)
    loop, state, told = recording_loop()
    _, clock = parts(loop)
    taken = taking(told)
    hub = WordlessHub(Forbidden(403, "Forbidden", "an admission webhook denied the request"))
    teller = teach(loop, state, hub)
    with_ended_lease(state)

    with capture_logs():
        for tries in range(3):
            await loop.look()
            assert due(loop) == clock.now_ms() + 1_000
            await eventually("it is tried", lambda n=tries: hub.tries > n)
            clock.seconds += 1
        await teller.close(30)
    assert taken == []


async def test_a_notice_that_the_hub_took_and_doesnt_show_is_looked_at_no_sooner_than_a_second_later():
    loop, state, told = recording_loop()
    _, clock = parts(loop)
    with_ended_lease(state)

    await loop.look()

    assert told.said == [("a", "Notice")]
    assert due(loop) == clock.now_ms() + 1_000


def taking(told: Any) -> list[str]:
    """Return where the names of claims go that the binder is asked to take back."""
    taken: list[str] = []

    def take(each: GpuClaim, _: Take) -> bool:
        taken.append(each.metadata.name)
        return True

    told.take = take
    return taken
