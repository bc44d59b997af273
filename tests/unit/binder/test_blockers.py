"""Whether a release that waits hangs: what ends by itself doesn't, and what somebody must do does, with the ways out."""

import asyncio
from typing import Any

import pytest

from sublet.api import claim_status, rest_status
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.gpulease import GpuLease
from sublet.api.relocation import ReleaseCause
from sublet.binder.blockers import words
from sublet.binder.ports import StillThere
from sublet.binder.release import release
from sublet.book.holdings import RELEASE_MS
from tests.builders.api import NOW
from tests.builders.clusters import Hub, NotedApi, clock_at, tools_of
from tests.builders.moves import leased, running

REST_SECONDS = 600
PLAIN, RESTING = leased("west"), leased("west", term={"quarantineSeconds": REST_SECONDS})
WIPE = StillThere("node west-0000 must be wiped", 5.0)
MUST_ACT = [
    WIPE,
    StillThere("pods run in a namespace that isn't marked: delete that namespace", 5.0),
    StillThere("waiting for 2 pods"),
]


def going(pair: Any = PLAIN) -> GpuClaim:
    """Return a claim whose release began just now."""
    each = running(pair)
    decided = Release(cause=ReleaseCause.DELETED, release_time=NOW, sequence=1)
    return each.model_copy(update={"status": claim_status.releasing(each, decided, NOW)})


def vacated(each: GpuClaim) -> GpuClaim:
    return each.model_copy(update={"status": rest_status.vacated(each, NOW)})


def tools(each: GpuClaim, lease: GpuLease, ms_later: int, api: NotedApi | None = None) -> Any:
    uid = lease.metadata.uid
    found = tools_of(Hub(each), {uid: lease}, {uid: api} if api is not None else {})
    found.clock = clock_at(NOW + ms_later)
    return found


def hangs(each: GpuClaim, reason: StillThere, ms_later: int, lease: GpuLease = PLAIN[0]) -> bool:
    """Say whether a claim is told the ways out."""
    return "forceRelease" in words(each, reason, tools(each, lease, ms_later))


@pytest.mark.parametrize("reason", MUST_ACT, ids=["wipe", "namespace", "pods"])
def test_what_somebody_must_do_hangs_once_it_takes_longer_than_a_release(reason: StillThere):
    assert not hangs(going(), reason, RELEASE_MS - 1)
    assert hangs(going(), reason, RELEASE_MS)


def test_nodes_that_have_rested_have_their_time_to_come_free_from_then():
    each, due = vacated(going(RESTING)), REST_SECONDS * 1_000 + RELEASE_MS

    assert not hangs(each, WIPE, due - 1, RESTING[0])
    assert hangs(each, WIPE, due, RESTING[0])


def test_a_rest_hangs_never_however_long_it_is():
    each = vacated(going(RESTING))
    api = NotedApi(each.metadata.uid)
    with_ = tools(each, RESTING[0], REST_SECONDS * 1_000 - 1, api)
    with pytest.raises(StillThere, match="the nodes rest for another") as found:
        asyncio.run(release(each, with_))

    assert not hangs(each, found.value, 10 * RELEASE_MS, PLAIN[0])
