"""What claims are told holds up no pass, and what can't be told makes none."""

import asyncio
from typing import Any

from structlog.testing import capture_logs

from sublet.api.ids import ClaimUID
from sublet.hub.writer import StatusWriter
from sublet.kube.errors import Forbidden
from tests.builders.api import as_claim, claim
from tests.harness.fake_api import eventually
from tests.harness.loop import WordlessHub, parts, recording_loop, teach


async def test_what_a_claim_could_not_be_told_as_it_changed_is_decided_anew():
    loop, state, told = recording_loop()
    state.claims.put(as_claim(claim("a", suspended=True)))
    await loop.look()
    told.misses = True
    await loop.look()
    told.misses = False
    await loop.look()
    assert told.said == [("a", "Refuse")] * 2
    assert told.full == told.told_all == [True, True, False]


async def test_a_claim_whose_word_the_hub_does_not_take_makes_no_plan_of_all():
    loop, state, told = recording_loop()
    claims = WordlessHub(Forbidden(403, "Forbidden", "an admission webhook denied the request"))
    teller = teach(loop, state, claims)
    state.claims.put(as_claim(claim("a", suspended=True)))
    with capture_logs():
        await loop.look()
        await eventually("it is tried", lambda: claims.tries)
        for _ in range(3):
            await loop.look()
        await teller.close(1)

    assert told.full == [True, False, False, False]
    assert claims.tries == 1


async def test_what_a_claim_could_not_be_told_during_work_that_is_over_costs_one_plan_of_all():
    loop, state, told = recording_loop()
    claims = WordlessHub(Forbidden(403, "Forbidden", "an admission webhook denied the request"))
    teller = teach(loop, state, claims, told.is_busy)
    waits = as_claim(claim("a", suspended=True))
    state.claims.put(waits)
    told.begins = waits.metadata.uid
    with capture_logs():
        await loop.look()
        await asyncio.sleep(0.01)
        told.busy = frozenset()
        loop.idle(ClaimUID(waits.metadata.uid))
        for _ in range(3):
            await loop.look()
        await eventually("it is tried", lambda: claims.tries)
        await teller.close(1)

    assert told.full == [True, True, False, False]


async def test_a_word_for_a_claim_that_work_goes_on_for_long_on_makes_no_plans():
    loop, state, told = recording_loop()
    claims = WordlessHub(None)
    teller = teach(loop, state, claims, told.is_busy)
    waits = as_claim(claim("a", suspended=True))
    state.claims.put(waits)
    told.begins = waits.metadata.uid
    await loop.look()
    await asyncio.sleep(0.01)
    for _ in range(3):
        await loop.look()
    told.busy = frozenset()
    loop.idle(ClaimUID(waits.metadata.uid))
    await loop.look()
    await eventually("it is being told", lambda: claims.tries)
    await teller.close(0)

    assert told.full == [True, True, False, False, True]


async def test_no_claims_decision_waits_for_what_others_are_told():
    loop, state, told = recording_loop()
    claims = WordlessHub(None)
    teller = teach(loop, state, claims)
    state.claims.put(as_claim(claim("a", suspended=True)))
    await asyncio.wait_for(loop.look(), 30)
    await eventually("it is being told", lambda: claims.tries)
    state.claims.put(as_claim(claim("b")))
    await asyncio.wait_for(loop.look(), 30)

    assert told.reserved == ["b"]
    await teller.close(0)


async def test_a_replica_that_leads_no_more_tells_no_claim_anything():
    loop, _, told = recording_loop(leads=lambda: False)
    await loop.look()
    assert told.let_gos == 1


async def test_no_claims_decision_waits_for_the_statuses_of_other_kinds():
    loop, state, told = recording_loop()
    fleet, clock = parts(loop)
    hub: Any = WordlessHub(None)
    written: Any = loop
    written._writer = StatusWriter(hub, state, fleet, clock)
    await asyncio.wait_for(loop.look(), 30)
    await eventually("one is being written", lambda: hub.tries)
    state.claims.put(as_claim(claim("b")))
    await asyncio.wait_for(loop.look(), 30)

    assert told.reserved == ["b"]
    await written._writer.close(0)
