"""`sublet claim` as a tenant uses it: what is sent, what the hub says, and waiting for it."""

import json

import pytest
import yaml

from sublet.api.kinds import CLAIMS
from sublet.cli import following
from sublet.cli.asking import claim_body, send
from sublet.cli.connect import Cluster
from sublet.kube.errors import BadAnswer
from tests.builders.api import claim
from tests.builders.moves import leased, running
from tests.harness.fake_api import fake_api, saying

WEST = leased("west")
ASKED = ("claim", "train", "--class", "h100", "--gpus", "16")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(following, "_EVERY_SECONDS", 0.01)


def said(pending=None, **conditions):
    """Return a status with conditions, each with (status, reason, message)."""
    found = [
        {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-22T10:00:00Z"}
        for type_, (status, reason, message) in conditions.items()
    ]  # fmt: skip
    return {"observedGeneration": 1, "conditions": found, **({"pending": pending} if pending else {})}  # fmt: skip


def test_what_was_said_is_sent_and_nothing_else(person, hub):
    status, out, _ = person.run(
        *ASKED, "--for", "1d12h", "--start", "2026-12-01T00:00:00Z", "--jurisdiction", "EU",
        "--scope", "Cluster", "--max-price", "3.99", "--tag", "project=llm", "--gpus-per-node", "8",
    )  # fmt: skip

    assert status == 0
    assert hub.bodies[-1]["metadata"] == {"name": "train", "namespace": "acme"}
    assert hub.bodies[-1]["spec"] == {
        "className": "h100", "gpus": 16, "gpusPerNode": 8, "topology": {"scope": "Cluster"},
        "placement": {"jurisdictions": ["EU"]}, "maxPricePerGpuHour": "3.99", "tags": {"project": "llm"},
        "schedule": {"startTime": "2026-12-01T00:00:00Z", "durationSeconds": 129_600},
    }  # fmt: skip
    assert hub.requests[-1][2] == {"fieldManager": "kubectl-sublet", "fieldValidation": "Strict"}
    assert out.splitlines() == [
        "acme/train: 16 GPUs of class h100, 8 per node, at most 3.99 per GPU-hour, for 1d 12h",
        "sublet explain train -n acme  says how it stands",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--gpus", "0"), "--gpus: "),
        (("--class", "H 100"), "--class: "),
        (("--scope", "Rack"), "--scope: "),
        (("--max-price", "3,99"), "--max-price: '3,99' is not a price"),
        (("--for", "4 hours"), "--for '4 hours' is no length of time; write it as 90m, 4h, 7d or 1d12h"),
        (("--start", "tomorrow"), "--start: "),
        (("--tag", "llm"), "--tag 'llm' isn't NAME=VALUE"),
        (("--tag", "team=a", "--tag", "team=b"), "--tag team is given twice; each name has one value"),
        (("--replacement", "Always"), "--replacement: "),
        (("-n", "A"), "'A' can't be the name of a namespace"),
    ],
)  # fmt: skip
def test_what_can_be_no_claim_is_one_line_by_the_options_name_and_nothing_is_sent(
    person, hub, arguments, says
):
    status, out, err = person.run(*ASKED, *arguments)

    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert says in err
    assert hub.requests == []


def test_what_the_hub_refuses_is_said_in_its_own_words(person, hub):
    hub.refusal = (422, "Invalid", 'GpuClaim.sublet.dev "train" is invalid: spec.gpus: Invalid value: gpus must be a multiple of gpusPerNode')  # fmt: skip
    status, _, err = person.run(*ASKED, "--gpus-per-node", "5")

    assert status == 1
    assert err == f"sublet: the hub refuses claim acme/train: {hub.refusal[2]}\n"


def test_a_claim_that_is_there_already_is_said(person, hub):
    hub.put(claim("train"))
    status, _, err = person.run(*ASKED)

    assert status == 1
    assert "claim acme/train is there already; `sublet explain train -n acme` shows it" in err


def test_a_conflict_of_something_else_isnt_taken_for_a_claim_that_is_there(person, hub):
    hub.refusal = (409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "claims"')
    status, _, err = person.run(*ASKED)

    assert status == 1
    assert "the hub answered 409 Conflict: Operation cannot be fulfilled on resourcequotas" in err
    assert "is there already" not in err


def test_without_rights_it_says_so(person, hub):
    hub.refusal = (403, "Forbidden", 'User "jo" cannot create resource "gpuclaims"')
    status, _, err = person.run(*ASKED)

    assert status == 1
    assert 'the hub refuses: User "jo" cannot create' in err


def test_a_dry_run_writes_nothing_and_prints_what_could_be_applied(person, hub):
    status, out, _ = person.run(*ASKED, "--dry-run", "-o", "yaml")

    assert status == 0
    assert hub.requests[-1][2]["dryRun"] == "All"
    assert hub.objects == {}
    assert yaml.safe_load(out)["spec"] == {"className": "h100", "gpus": 16}


def test_it_waits_until_the_gpus_are_bound_and_says_the_way_in(person, hub):
    def operator(made):
        bound = running(WEST).status.model_dump(mode="json", by_alias=True, exclude_none=True)
        made["status"] = bound

    hub.operator = operator
    status, out, _ = person.run(*ASKED, "--wait", "5")

    assert status == 0
    assert out.splitlines()[2].startswith("acme/train is bound: 8 GPUs at west")
    assert out.splitlines()[3] == "sublet kubeconfig train -n acme  is the way in"


def test_if_it_isnt_bound_in_time_it_says_why_with_the_state_so_far(person, hub):
    pending = {"reason": "WaitingForCapacity", "message": "16 of 16 GPUs are taken"}
    hub.operator = lambda made: made.update(status=said(pending))
    status, _, err = person.run(*ASKED, "--wait", "1")

    assert status == 1
    assert err.splitlines() == [
        "  acme/train: 16 of 16 GPUs are taken",
        "sublet: claim acme/train isn't bound: 16 of 16 GPUs are taken",
    ]


def test_programs_get_the_object(person):
    _, out, _ = person.run(*ASKED, "-o", "json")

    assert json.loads(out)["metadata"]["name"] == "train"


@pytest.mark.parametrize("answer", [b"<html>", b"{}"])
async def test_what_is_no_claim_in_place_of_one_is_no_answer(answer: bytes):
    async with fake_api() as page, Cluster(page.endpoint, "the hub") as hub:
        page.objects[CLAIMS.path("acme")] = saying(answer)

        with pytest.raises(BadAnswer, match="not what the API promises"):
            await send(hub, claim_body({}, name="train", namespace="acme"))
