"""A cluster goes away with claims in it: what is said, what a person's word ends, and what is cleaned when it is back.

The operator is killed and started anew between the steps: all that follows from a word is in the objects.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sublet.api.times import parse_instant
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.frozen import away
from tests.harness.hours import Hours
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(600)]

ACME = "acme"
LONG = 90.0
"""Seconds: connections to a frozen server fail by their time limits."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = borrow_stack("lost", leased=("west",))
    running.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    running.apply("west", *(gpu_node(f"n{i}") for i in range(2)))
    running.apply("hub", gpu_class(), tenant())
    yield running
    running.stop()


@pytest.fixture
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    # whichever test comes first: a cluster that was lost and is back is sold by a new lease
    stack.apply("hub", lease("west", committed=16))
    running = OperatorProcess(stack).start()
    wait_for("two nodes for sale", lambda: _counts(stack) == (16, {}))
    yield running
    running.kill()


def _again(operator: OperatorProcess) -> None:
    operator.kill()
    operator.start()


def _lease(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.get("hub", "gpulease", "west")
    return found


def _counts(stack: Stack) -> tuple[int, dict[str, int]]:
    counts = _lease(stack)["status"].get("inventory", {})
    return counts.get("free", 0), {u["reason"]: u["gpus"] for u in counts.get("unsellable", [])}


def _bind(stack: Stack, name: str) -> dict[str, Any]:
    stack.apply("hub", claim(name, ACME))
    return wait_for(f"{name} bound", lambda: stack.is_bound(ACME, name))


def _is_away(stack: Stack) -> bool:
    found = _lease(stack)
    return condition(found, "Reachable") == "Unknown" and "lastSeenTime" in found["status"]


def _word(stack: Stack, kind: str, name: str, word: dict[str, Any], *where: str) -> str:
    """Return what the hub says to a person's word."""
    patch = ("patch", kind, name, *where, "--type=merge", "-p", json.dumps({"spec": word}))
    return stack.kubectl("hub", *patch, check=False)


def _lines(operator: OperatorProcess, body: dict[str, Any]) -> list[tuple[str, str, int]]:
    uid = body["metadata"]["uid"]
    return [
        (f.kind.value, f.type.value, f.at_ms)
        for f in facts_in(operator.database)
        if f.claim_uid == uid
    ]


def _says(stack: Stack, name: str, type_: str, field: str = "message") -> str:
    return str(condition(stack.claim(ACME, name) or {}, type_, field))


def _news(stack: Stack, uid: str) -> list[str]:
    found = stack.get("hub", "events", "-n", ACME)["items"]
    return [e["reason"] for e in found if e["involvedObject"].get("uid") == uid]


def _is_clean(stack: Stack) -> bool:
    left = _lease(stack)["status"].get("leftovers")
    return not left and stack.claim_namespaces("west") == []


def test_a_release_that_hangs_is_ended_by_word_and_its_gpus_are_sold_when_they_are_seen_free(
    stack: Stack, operator: OperatorProcess
):
    stuck = _bind(stack, "stuck")
    uid, where = stuck["metadata"]["uid"], ("-n", ACME)
    with away(stack, "west"):
        wait_for("west is away", lambda: _is_away(stack), seconds=LONG)
        stack.kubectl("hub", "delete", "gpuclaim", *where, "stuck", "--wait=false")
        wait_for("releasing", lambda: _says(stack, "stuck", "Releasing", "status") == "True")
        _again(operator)
        wait_for(
            "it says who blocks it, since when, and the way out",
            lambda: (
                "west hasn't been reachable since" in (said := _says(stack, "stuck", "Releasing"))
                and "forceRelease" in said
                and "the meter stopped at" in said
            ),
            seconds=LONG,
        )
        gone = stack.claim(ACME, "stuck")
        assert gone is not None
        wait_for("it is news too", lambda: "ReleaseOverdue" in _news(stack, uid))

        other = {"forceRelease": {"claimUID": stack.get("hub", "gpulease", "west")["metadata"]["uid"]}}  # fmt: skip
        assert f"UID of this gpuclaim: {uid}" in _word(stack, "gpuclaim", "stuck", other, *where)
        word = {"forceRelease": {"claimUID": uid}}
        assert "patched" in _word(stack, "gpuclaim", "stuck", word, *where)
        wait_for("gone", lambda: stack.claim(ACME, "stuck") is None, seconds=LONG)

        (left,) = _lease(stack)["status"]["leftovers"]
        assert (left["claimUID"], left["gpus"], left["by"]) == (uid, 8, "admin")
        wait_for("counted", lambda: _counts(stack)[1].get("ReleaseForced") == 8)
        stack.apply("hub", claim("next", ACME, gpus=16))
        _again(operator)
        wait_for("it waits", lambda: _says(stack, "next", "Reserved", "status") == "False")
        assert _counts(stack)[1].get("ReleaseForced") == 8

    wait_for("clean", lambda: _lease(stack)["status"].get("leftovers") in (None, []), seconds=LONG)
    wait_for("both nodes are sold", lambda: stack.is_bound(ACME, "next"))
    assert not any(uid in book for book in stack.books("west").values())
    assert f"sublet-{uid}-1" not in stack.claim_namespaces("west")
    bound_at = parse_instant(stuck["status"]["allocation"]["boundTime"])
    stopped_at = max(parse_instant(gone["metadata"]["deletionTimestamp"]), bound_at)
    lines = _lines(operator, stuck)
    assert lines[:3] == [
        ("bound", "open", bound_at),
        ("bound", "close", stopped_at),
        ("releasing", "open", stopped_at),
    ]
    assert [line[:2] for line in lines[3:]] == [("releasing", "close")]
    stack.kubectl("hub", "delete", "gpuclaim", *where, "next", "--timeout=60s")


def test_a_cluster_that_is_lost_frees_its_claims_and_is_cleaned_and_never_sold_again(
    stack: Stack, operator: OperatorProcess
):
    doomed, leaving = _bind(stack, "doomed"), _bind(stack, "leaving")
    home = f"sublet-{doomed['metadata']['uid']}-1"
    stack.kubectl("west", "-n", home, "run", "work", "--image=x")
    lease_uid = _lease(stack)["metadata"]["uid"]

    def lost(uid: str) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"lost": {"leaseUID": uid, "time": now, "by": "admin"}}

    _word(stack, "gpulease", "west", lost(lease_uid))
    wait_for("while it answers it isn't lost", lambda: condition(_lease(stack), "Lost", "reason") == "Answers")  # fmt: skip
    assert stack.is_bound(ACME, "doomed")
    _word(stack, "gpulease", "west", {"lost": None})

    with away(stack, "west"):
        wait_for("west is away", lambda: _is_away(stack), seconds=LONG)
        stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "leaving", "--wait=false")
        wait_for("releasing", lambda: _says(stack, "leaving", "Releasing", "status") == "True")
        _again(operator)
        seen = _lease(stack)["status"]["lastSeenTime"]
        other = _word(stack, "gpulease", "west", lost(doomed["metadata"]["uid"]))
        assert f"UID of this gpulease: {lease_uid}" in other
        assert "patched" in _word(stack, "gpulease", "west", lost(lease_uid))
        ended = wait_for("it ended", lambda: _ended(stack, "doomed"), seconds=LONG)
        wait_for("gone", lambda: stack.claim(ACME, "leaving") is None, seconds=LONG)

        status = _lease(stack)["status"]
        assert status["lost"]["meterTime"] == seen
        assert {x["claimUID"] for x in status["leftovers"]} == {
            doomed["metadata"]["uid"],
            leaving["metadata"]["uid"],
        }
        assert condition(ended, "Ended", "reason") == "LeaseLost"
        # on a busy machine the cluster may have fallen silent before it was seen again after the bind
        stopped = max(seen, doomed["status"]["allocation"]["boundTime"])
        assert ended["status"]["release"]["releaseTime"] == stopped
        assert "counts as lost already" in _word(stack, "gpulease", "west", {"lost": None})
        _again(operator)
        stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "doomed", "--timeout=90s")

    wait_for("clean", lambda: _is_clean(stack), seconds=LONG)
    wait_for("handed back", lambda: set(stack.books("west").values()) == {"-"})
    stack.apply("hub", claim("late", ACME))
    wait_for("it waits", lambda: _says(stack, "late", "Reserved", "status") == "False")
    stays("nothing is adopted", lambda: set(stack.books("west").values()) == {"-"}, seconds=3)
    assert not stack.is_bound(ACME, "late")
    assert "answers again and is clean" in str(condition(_lease(stack), "Lost", "message"))
    assert _counts(stack)[0] == 0
    bound_at = parse_instant(doomed["status"]["allocation"]["boundTime"])
    stopped_at = parse_instant(stopped)
    lines = _lines(operator, doomed)
    assert [x for x in lines if x[0] == "bound"] == [
        ("bound", "open", bound_at),
        ("bound", "close", stopped_at),
    ]
    assert ("releasing", "open", stopped_at) in lines
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "late", "--timeout=90s")
    stack.kubectl("hub", "delete", "gpulease", "west", "--timeout=90s")


def _ended(stack: Stack, name: str) -> dict[str, Any] | None:
    found = stack.claim(ACME, name)
    return found if found and condition(found, "Ended") == "True" else None


def test_a_silence_of_an_hour_is_told_and_disputed_and_nothing_is_taken(stack: Stack):
    hours = Hours(stack)
    stack.apply("hub", lease("west", committed=16))
    operator = hours.operator().start()
    try:
        wait_for("two nodes for sale", lambda: _counts(stack) == (16, {}))
        held = _bind(stack, "held")
        with away(stack, "west"):
            wait_for("west is away", lambda: _is_away(stack), seconds=LONG)
            seen = _lease(stack)["status"]["lastSeenTime"]
            assert _says(stack, "held", "Reachable", "status") == "None"
            hours.move(1.2)
            wait_for("it is told", lambda: _says(stack, "held", "Reachable", "reason") == "UnreachableFor1Hour")  # fmt: skip
            assert f"west hasn't been reachable since {seen}" in _says(stack, "held", "Reachable")
            stack.apply("hub", claim("next", ACME))
            wait_for("it waits", lambda: _says(stack, "next", "Reserved", "status") == "False")
            _again(operator)
            stays("it is bound", lambda: stack.is_bound(ACME, "held"), seconds=3)
            uid = held["metadata"]["uid"]
            events = stack.get("hub", "events.events.k8s.io", "-n", ACME)["items"]
            assert "UnreachableFor1Hour" in {e["reason"] for e in events if e["regarding"]["uid"] == uid}  # fmt: skip

        wait_for("it answers", lambda: _says(stack, "held", "Reachable", "status") == "True", seconds=LONG)  # fmt: skip
        (outage,) = (stack.claim(ACME, "held") or {})["status"]["outages"]
        assert outage["fromTime"] == max(seen, held["status"]["allocation"]["boundTime"])
        disputed = [
            ("disputed", "open", parse_instant(outage["fromTime"])),
            ("disputed", "close", parse_instant(outage["untilTime"])),
        ]
        wait_for("metered", lambda: [x for x in _lines(operator, held) if x[0] == "disputed"] == disputed)  # fmt: skip
        wait_for("others come in", lambda: stack.is_bound(ACME, "next"))
    finally:
        stack.kubectl(
            "hub", "delete", "gpuclaim", "-n", ACME, "--all", "--timeout=60s", check=False
        )
        operator.kill()
