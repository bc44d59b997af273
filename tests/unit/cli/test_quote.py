"""`sublet quote`: an answer is shown and nothing is left behind, whatever comes in between."""

import asyncio
import json
import re
import threading

import pytest

from sublet.api.pending import NOT_LOOKED_AT
from sublet.api.times import parse_instant
from sublet.cli import following, quote
from sublet.cli.asking import claim_body
from sublet.cli.connect import Cluster
from sublet.kube.session import Endpoint
from tests.harness.fake_api import SteppedClock
from tests.harness.small_hub import failure

ASKED = ("quote", "--class", "h100", "--gpus", "64", "--for", "7d")
OFFER = {"change": "AsAsked", "className": "h100", "gpus": 64, "pricePerGpuHour": "3.99", "currency": "USD"}  # fmt: skip
LATER = {**OFFER, "change": "Later", "startTime": "2026-12-01T00:00:00Z", "jurisdictions": ["EU"]}
SPLIT = {**OFFER, "change": "Split", "claims": 4, "gpus": 16, "pricePerGpuHour": "2.1"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(following, "_EVERY_SECONDS", 0.01)


def answers(*offers, reason="Suspended", message="the claim is suspended"):
    def operator(made):
        pending = {"reason": reason, "message": message}
        made["status"] = {"observedGeneration": 1, "conditions": [], "pending": pending, "offers": list(offers)}  # fmt: skip

    return operator


def test_the_quote_is_a_suspended_claim_that_is_deleted_by_its_uid(person, hub):
    hub.operator = answers(OFFER)
    status, out, _ = person.run(*ASKED)

    assert status == 0
    sent = hub.bodies[0]
    assert sent["spec"] == {"className": "h100", "gpus": 64, "schedule": {"durationSeconds": 604_800}, "suspended": True}  # fmt: skip
    assert re.fullmatch(r"quote-[0-9a-f]{8}", sent["metadata"]["name"])
    assert sent["metadata"]["namespace"] == "acme"
    assert [r[0] for r in hub.requests] == ["POST", "GET", "DELETE"]
    assert hub.bodies[-1]["preconditions"]["uid"]
    assert hub.objects == {}
    assert out.splitlines() == [
        "Asked for: 64 GPUs of class h100, for 7d",
        "",
        "CHANGE    CLASS   GPUS   FROM   UNTIL      PRICE/H   CURRENCY   IN-ALL",
        "AsAsked   h100    64     now    as asked   3.99      USD        42900.48",
        "",
        "Nothing is held for you; sublet claim asks for it",
    ]


def test_what_would_bind_instead_is_one_line_each(person, hub):
    hub.operator = answers(LATER, SPLIT, message="resumed now: 16 of 64 GPUs are free")
    _, out, _ = person.run(*ASKED, "-o", "wide")

    later, split = (line.split() for line in out.splitlines()[3:5])
    assert later == ["Later", "h100", "64", "2026-12-01T00:00:00Z", "as", "asked", "3.99", "USD", "42900.48", "1", "as", "asked", "EU", "as", "asked"]  # fmt: skip
    assert split[:4] == ["Split", "h100", "4", "x"]
    assert "22579.20" in split


def test_an_offer_that_ends_earlier_costs_only_until_then(monkeypatch, person, hub):
    clock = SteppedClock()
    clock.seconds = parse_instant("2026-11-22T10:00:00Z") / 1_000
    monkeypatch.setattr(quote, "SystemClock", lambda: clock)
    shorter = {**OFFER, "change": "Shorter", "endTime": "2026-11-22T12:30:00Z"}
    hub.operator = answers(shorter, {**shorter, "startTime": "2026-11-22T11:00:00Z"})
    _, out, _ = person.run(*ASKED)

    assert [line.split()[-1] for line in out.splitlines()[3:5]] == ["638.40", "383.04"]


def test_a_refusal_says_why(person, hub):
    hub.operator = answers(reason="NoTenant", message="namespace acme belongs to no tenant")
    status, out, _ = person.run(*ASKED)

    assert status == 0
    assert "Answer:    namespace acme belongs to no tenant" in out
    assert "nothing that is like it would bind now" in out


def test_a_quote_that_nobody_has_looked_at_yet_is_waited_for(person, hub):
    def operator(made):
        answers(message=f"the claim is suspended{NOT_LOOKED_AT}")(made)
        threading.Timer(0.2, answers(OFFER), [made]).start()

    hub.operator = operator
    status, out, _ = person.run(*ASKED)

    assert status == 0
    assert "AsAsked" in out


def test_no_look_in_time_is_never_called_nothing(person, hub):
    hub.operator = answers(message=f"the claim is suspended{NOT_LOOKED_AT}")
    status, out, err = person.run(*ASKED, "--wait", "1")

    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == "sublet: the operator has other quotes to answer first; give --wait to wait longer"  # fmt: skip


def test_without_an_answer_it_says_so_and_leaves_nothing(person, hub):
    status, _, err = person.run(*ASKED, "--wait", "1")

    assert status == 1
    assert err.splitlines()[-1] == "sublet: the operator hasn't answered in 1 second; is it running? Give --wait to wait longer"  # fmt: skip
    assert hub.objects == {}


def test_programs_get_what_was_asked_and_the_offers(person, hub):
    hub.operator = answers(OFFER)
    _, out, _ = person.run(*ASKED, "-o", "json")

    found = json.loads(out)
    assert found["offers"] == [OFFER]
    assert found["asked"]["gpus"] == 64


def test_a_claim_that_cant_be_deleted_is_named(person, hub, monkeypatch):
    hub.operator = answers(OFFER)
    monkeypatch.setattr(hub, "_delete", lambda *_: failure(403, "Forbidden", "no"))
    status, _, err = person.run(*ASKED)

    assert status == 1
    assert re.search(r"the quote's claim acme/quote-\w+: the hub refuses: no", err)
    assert "delete it yourself" in err


@pytest.fixture
def made(hub, monkeypatch):
    """Return what says what becomes of the answer to the request that made the claim."""
    create = hub._create

    def lost(answer):
        def creates(*asked):
            create(*asked)
            return answer()

        monkeypatch.setattr(hub, "_create", creates)

    return lost


def test_a_claim_whose_making_wasnt_answered_well_is_deleted_too(person, hub, made):
    made(lambda: failure(504, "Timeout", "it took too long"))
    status, _, err = person.run(*ASKED)

    assert status == 1
    assert "504 Timeout" in err
    assert hub.objects == {}


async def test_whoever_breaks_off_before_the_answer_leaves_nothing(hub, made):
    asked, answered = threading.Event(), threading.Event()

    def late():
        asked.set()
        answered.wait()
        return 201, {}

    made(late)
    async with Cluster(Endpoint(hub.url), "the hub") as cluster:
        asking = asyncio.create_task(quote.ask(cluster, claim_body({}, name="quote-1", namespace="acme"), 5))  # fmt: skip
        await asyncio.to_thread(asked.wait)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    answered.set()

    assert hub.objects == {}


def test_of_what_the_hub_refused_nothing_is_deleted(person, hub):
    hub.refusal = (403, "Forbidden", "no")
    status, _, err = person.run(*ASKED)

    assert (status, [r[0] for r in hub.requests]) == (1, ["POST"])
    assert "the hub refuses: no" in err
