"""In which turn words are told: where one wasn't taken, its namespace waits by itself, and no other behind it."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api.gpuclaim import GpuClaim
from sublet.binder.claims import Outrun
from sublet.hub.teller import ClaimTeller
from sublet.kube.errors import Forbidden, TooManyRequests, Unreachable
from tests.builders.api import as_claim, claim
from tests.harness.fake_api import eventually
from tests.unit.hub.test_teller import refused, telling

DENIED = Forbidden(403, "Forbidden", "an admission webhook denied the request")


async def try_in_vain(teller: ClaimTeller, told: Any, one: GpuClaim, error: Exception) -> None:
    """Tell a claim a word that isn't taken."""
    told.faults = [error]
    with capture_logs():
        teller.tell([refused(one)], is_all=True)
        await eventually("it is tried", lambda: not told.faults)


@pytest.mark.parametrize("error", [DENIED, Unreachable("away")], ids=["refused", "away"])
async def test_a_namespace_where_one_word_was_not_taken_waits_for_no_other(
    error: Exception, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sublet.hub.teller.wait_seconds", lambda *_: 0.01)
    sick = [as_claim(claim(f"a{i}", "sick")) for i in range(20)]
    well = as_claim(claim("b", "well"))
    async with telling(*sick, well, patience=0) as (teller, told):
        await try_in_vain(teller, told, sick[0], DENIED)
        with capture_logs():
            told.hold(*(c.metadata.name for c in sick))
            teller.tell([refused(each) for each in sick], is_all=True)
            await eventually("the sick are being told", lambda: len(told.begun) > 1)
            told.faults = [error]
            teller.tell([refused(well)], is_all=False)
            await eventually("the other is told", lambda: told.names == ["b"])


async def test_a_namespace_where_nothing_is_taken_is_written_to_one_claim_at_a_time():
    sick = [as_claim(claim(f"a{i}", "sick")) for i in range(20)]
    async with telling(*sick, patience=0) as (teller, told):
        await try_in_vain(teller, told, sick[0], DENIED)
        told.hold(*(c.metadata.name for c in sick))
        teller.tell([refused(each) for each in sick[1:]], is_all=False)
        await asyncio.sleep(0.01)

        assert told.begun == ["a0", "a1"]


@pytest.mark.parametrize(
    "error",
    [Outrun("it is gone"), TooManyRequests(429, "TooManyRequests", "later")],
    ids=["gone", "too many"],
)
async def test_what_says_nothing_about_a_namespace_slows_no_words_there(error: Exception):
    one, *others = (as_claim(claim(name)) for name in "abcd")
    async with telling(one, *others, patience=0) as (teller, told):
        await try_in_vain(teller, told, one, error)
        told.hold("b", "c", "d")
        teller.tell([refused(each) for each in others], is_all=False)
        await eventually("all are being told", lambda: told.begun == ["a", "b", "c", "d"])


async def test_a_namespace_where_nothing_is_left_to_tell_is_slowed_no_more():
    one, *others = (as_claim(claim(name)) for name in "abcd")
    async with telling(one, *others, patience=0) as (teller, told):
        await try_in_vain(teller, told, one, DENIED)
        teller.tell([], is_all=True)
        assert not teller.missed()
        told.hold("b", "c", "d")
        teller.tell([refused(each) for each in others], is_all=True)
        await eventually("all are being told", lambda: told.begun == ["a", "b", "c", "d"])
