"""Claims that contradict themselves or the fleet are told what is wrong and what to do."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.pending import PendingReason
from sublet.book.decisions import Reserve
from sublet.book.demand import Rules
from sublet.book.plan import plan
from tests.builders.api import as_claim, as_lease, claim, lease
from tests.builders.fleet import inventory, nodes, refusal_of, reserve_of, view

WEST = as_lease()


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        (
            {"placement": {"leases": {"allow": ["west"], "deny": ["west"]}}},
            PendingReason.NO_MATCHING_LEASE,
            "west is both allowed and denied there, which is denied: take it out of deny",
        ),
        (
            {"placement": {"jurisdictions": ["Atlantis"]}},
            PendingReason.RESIDENCY_UNMET,
            "16 are in EU",
        ),
        (
            {"gpusPerNode": 16, "gpus": 16},
            PendingReason.TOPOLOGY_UNFIT,
            "gpusPerNode 16 fits no node: nodes have 8",
        ),
        (
            {"gpus": 16, "topology": {"scope": "Node"}},
            PendingReason.TOPOLOGY_UNFIT,
            "16 GPUs don't fit on one node; nodes have 8",
        ),
        (
            {"schedule": {"startTime": "2026-11-22T07:00:00Z", "durationSeconds": 3600}},
            PendingReason.MISCONFIGURED,
            "its window is over since 2026-11-22T08:00:00Z; choose a later schedule.startTime",
        ),
        (
            {"schedule": {"startTime": "1969-12-31T23:59:59Z", "durationSeconds": 3600}},
            PendingReason.MISCONFIGURED,
            "schedule.startTime must be in the years 1970 to 8999",
        ),
        (
            {"schedule": {"startTime": "9999-12-01T00:00:00Z", "durationSeconds": 631_152_000}},
            PendingReason.MISCONFIGURED,
            "schedule.startTime must be in the years 1970 to 8999",
        ),
    ],
)
def test_a_claim_that_nothing_can_serve_is_told_why_and_what_to_do(spec, reason, words):
    asked = as_claim(claim(**spec))

    refused = refusal_of(plan(view([asked], [(WEST, inventory(WEST, nodes(WEST, 2)))])), asked)

    assert refused.reason is reason
    assert words in refused.message


def test_nodes_that_two_leases_claim_are_sold_by_neither():
    other = as_lease(lease("other"))
    shared = nodes(WEST, 2)
    own = nodes(other, 1)
    fleet = [
        (WEST, inventory(WEST, shared, cluster_uid="one")),
        (other, inventory(other, [*shared, *own], cluster_uid="one")),
    ]
    asked = [as_claim(claim(f"c{index}")) for index in range(3)]

    made = [d for d in plan(view(asked, fleet)).decisions if isinstance(d, Reserve)]

    assert [p.node for d in made for p in d.placements] == [own[0].name]


def test_a_fleet_without_any_node_is_an_answer_too():
    asked = as_claim(claim(placement={"leases": {"deny": ["west"]}}))
    empty = view([asked], [(WEST, inventory(WEST, []))])

    assert refusal_of(plan(empty), asked).reason is PendingReason.NO_MATCHING_LEASE
    nothing = plan(replace(empty, leases=(), inventories={}))
    assert (
        "no lease that this tenant may use has GPUs of class h100"
        in refusal_of(nothing, asked).message
    )


def test_a_claim_that_the_rules_fail_on_is_told_so_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
):
    bad, good = as_claim(claim("bad")), as_claim(claim("good"))
    timed: Any = Rules._timed

    def fails_on_bad(rules: Rules, asked: GpuClaim, *rest: Any) -> Any:
        if asked.metadata.name == "bad":
            raise OverflowError("date value out of range")
        return timed(rules, asked, *rest)

    monkeypatch.setattr(Rules, "_timed", fails_on_bad)
    made = plan(view([bad, good], [(WEST, inventory(WEST, nodes(WEST, 2)))]))

    assert reserve_of(made, good).placements
    refused = refusal_of(made, bad)
    assert refused.reason is PendingReason.MISCONFIGURED
    assert "can't be read (OverflowError at test_bad_input.py:" in refused.message
