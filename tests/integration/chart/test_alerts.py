"""Each alert fires for its own trouble, says it in words, and is silent in health and in every other trouble."""

import re
from pathlib import Path

import pytest
import yaml

from tests.harness.prometheus import promtool
from tests.integration.chart.rules import (
    AT_SECONDS,
    RULES,
    STEP,
    Case,
    Series,
    alerts,
    always,
    promtool_test,
    rising,
)
from tests.planes.binaries import ROOT

DAY = 86_400
RUNBOOKS = ROOT / "docs" / "runbooks.md"


def said(lease: str, condition: str, status: str) -> str:
    """Return the series of a lease's condition."""
    return f'sublet_lease_status_condition{{lease="{lease}",condition="{condition}",status="{status}",instance="a"}}'


def falls(lease: str, condition: str) -> Series:
    """Return how a condition turns from True to False."""
    return {said(lease, condition, "True"): "", said(lease, condition, "False"): always(1)}


LEDGER = 'sublet_ledger_conflict{instance="a"}'
TAKES_NOTHING = 'sublet_ledger_takes_nothing{instance="a"}'
CLOCK = 'sublet_cluster_clock_ahead_seconds{lease="west",instance="%s"}'
HUB_CLOCK = 'sublet_hub_clock_ahead_seconds{instance="%s"}'
USED = 'sublet_lease_used_gpus{lease="%s",instance="a"}'
COMMITTED = 'sublet_lease_committed_gpus{lease="west",instance="a"}'
REACH = 'sublet_cluster_reachable{lease="west",instance="%s"}'
LAST_SEEN = 'sublet_cluster_last_seen_timestamp_seconds{lease="west",instance="a"}'
UNSENT = 'sublet_ledger_unexported_entries{instance="a"}'
UNAVAILABLE = 'sublet_lease_gpu_seconds_total{lease="west",state="unavailable",instance="a"}'
DEADLINE = 'sublet_lease_sla_claim_deadline_timestamp_seconds{lease="west",instance="a"}'
RELEASING = 'sublet_lease_releasing_since_timestamp_seconds{lease="west",instance="a"}'
DROPPED = 'sublet_status_fields_dropped{instance="a"}'
OUTDATED = 'sublet_lease_onboarding_outdated{lease="%s",instance="a"}'
CREDENTIAL = 'sublet_lease_credentials_expiry_timestamp_seconds{lease="west",instance="a"}'
SPENT = 'sublet_tenant_budget_spent{tenant="acme",currency="USD",period="Month",instance="a"}'
DEGRADED = 'sublet_claim_status_condition{namespace="acme",claim="train",uid="u1",condition="Degraded",status="True",instance="%s"}'

HEALTH: Series = {
    'sublet_build_info{version="0.1.0",instance="a"}': always(1),
    'sublet_leader{instance="a"}': always(1),
    'sublet_leader{instance="b"}': always(0),
    'sublet_statements_failing{instance="a"}': always(0),
    'sublet_export_failing{instance="a"}': always(0),
    'sublet_rates_refused{instance="a"}': always(0),
    # a busy ledger whose sink follows
    UNSENT: " ".join(["50-10x5"] * 7),
    LEDGER: always(0),
    'sublet_ledger_conflict{instance="b"}': always(0),
    TAKES_NOTHING: always(0),
    REACH % "a": always(1),
    REACH % "b": always(1),
    CLOCK % "a": always(0),
    CLOCK % "b": always(0),
    HUB_CLOCK % "a": always(-3),
    HUB_CLOCK % "b": always(0),
    COMMITTED: always(16),
    USED % "west": always(8),
    **{
        said("west", condition, "True"): always(1)
        for condition in (
            "CredentialsValid",
            "IdentityConfirmed",
            "IsolationReady",
            "Reachable",
            "RightsComplete",
        )
    },
    said("west", "Orphaned", "False"): always(1),
    # declared lost, and known to be silent
    'sublet_cluster_reachable{lease="gone",instance="a"}': always(0),
    'sublet_cluster_last_seen_timestamp_seconds{lease="gone",instance="a"}': always(0),
    said("gone", "Lost", "True"): always(1),
    # over since an hour, its cluster given back
    'sublet_lease_end_timestamp_seconds{lease="over",instance="a"}': always(AT_SECONDS - 3_600),
    'sublet_cluster_reachable{lease="over",instance="a"}': always(0),
    'sublet_cluster_last_seen_timestamp_seconds{lease="over",instance="a"}': always(0),
    'sublet_lease_credentials_expiry_timestamp_seconds{lease="over",instance="a"}': always(0),
    said("over", "CredentialsValid", "False"): always(1),
    said("over", "IsolationReady", "False"): always(1),
    'sublet_lease_end_timestamp_seconds{lease="west",instance="a"}': always(90 * DAY),
    CREDENTIAL: always(30 * DAY),
    DROPPED: always(0),
    OUTDATED % "west": always(0),
    OUTDATED % "over": always(1),
    'sublet_lease_gpu_seconds_total{lease="west",state="used",instance="a"}': rising(480),
    UNAVAILABLE: always(7_200),
    DEADLINE: always(20 * DAY),
    # a release of ten minutes
    RELEASING: always(AT_SECONDS - 600),
    DEGRADED.replace("True", "False") % "a": always(1),
    'sublet_tenant_budget_amount{tenant="acme",currency="USD",period="Month",instance="a"}': always(1_000),
    SPENT: always(250),
}  # fmt: skip

WEST = {"lease": "west"}
UID = "11111111-0000-4000-8000-000000000001"
TROUBLES: dict[str, Case] = {
    "SubletDown": Case({'sublet_build_info{version="0.1.0",instance="a"}': ""}, {}),
    "SubletNotLeading": Case({'sublet_leader{instance="a"}': always(0)}, {}),
    "SubletStatementsFailing": Case({'sublet_statements_failing{instance="a"}': always(1)}, {}),
    "SubletExportFailing": Case({'sublet_export_failing{instance="a"}': always(1)}, {}),
    "SubletEventsStuck": Case({UNSENT: "5x10 1500x30"}, {"instance": "a"}, "1.5k"),
    "SubletRatesRefused": Case({'sublet_rates_refused{instance="a"}': always(1)}, {}),
    "SubletCrdsOutdated": Case({DROPPED: always(2)}, {}, "2"),
    "SubletClockSkewed": Case(
        {HUB_CLOCK % "a": always(-90)}, {"lease": "the hub itself"}, "1m 30s"
    ),
    "SubletLedgerNotReadable": Case({LEDGER: ""}, {"instance": "a"}),
    "SubletLedgerConflict": Case({LEDGER: always(1)}, {}),
    "SubletLeaseUnreachable": Case({REACH % "a": always(0)}, WEST),
    "SubletLeaseSilent": Case({LAST_SEEN: always(AT_SECONDS - 2 * 3_600)}, WEST, "2h 0m 0s"),
    # its own series end, and what claims hold stands under its UID
    "SubletLeaseMissing": Case(
        {
            REACH % "a": "1x20 stale",
            REACH % "b": "1x20 stale",
            LAST_SEEN: f"{AT_SECONDS - 2 * 3_600}x20 stale",
            COMMITTED: "16x20 stale",
            USED % "west": "8x20 stale",
            USED % UID: "_x20 8x20",
        },
        {"lease": UID},
        "8",
    ),
    "SubletLeaseRefusesUs": Case(
        falls("west", "RightsComplete"), {**WEST, "condition": "RightsComplete"}
    ),
    "SubletIsolationNotProven": Case(falls("west", "IsolationReady"), WEST),
    "SubletOnboardingOutdated": Case({OUTDATED % "west": always(1)}, WEST),
    "SubletCredentialExpiring": Case({CREDENTIAL: always(AT_SECONDS + DAY)}, WEST, "1d 0h 0m 0s"),
    "SubletCommitmentNotDelivered": Case({UNAVAILABLE: rising(2 * 60)}, WEST, "2"),
    "SubletSlaClaimDue": Case({DEADLINE: always(AT_SECONDS + DAY)}, WEST, "1d 0h 0m 0s"),
    "SubletOrphans": Case(
        {said("west", "Orphaned", "False"): "", said("west", "Orphaned", "True"): always(1)}, WEST
    ),
    "SubletReleaseOverdue": Case({RELEASING: always(AT_SECONDS - 3_600)}, WEST, "1h 0m 0s"),
    # two replicas say it of one claim
    "SubletClaimsDegraded": Case({DEGRADED % "a": always(1), DEGRADED % "b": always(1)}, {}, "1"),
    "SubletBudgetNearlySpent": Case(
        {SPENT: always(950)}, {"tenant": "acme", "currency": "USD", "period": "Month"}, "95%"
    ),
}

UNREACHABLE = {"SubletLeaseUnreachable": Case({}, WEST)}
DISAGREEING: dict[str, tuple[Series, dict[str, Case]]] = {
    "only the standby can't reach it": ({REACH % "b": always(0)}, {}),
    "nobody leads, and one reaches it": (
        {'sublet_leader{instance="a"}': always(0), REACH % "a": always(0)},
        {"SubletNotLeading": Case({}, {})},
    ),
    "nobody leads, and nobody reaches it": (
        {'sublet_leader{instance="a"}': always(0), REACH % "a": always(0), REACH % "b": always(0)},
        {"SubletNotLeading": Case({}, {}), **UNREACHABLE},
    ),
    **{
        f"the clock of {replica} is {seconds:+} s off a cluster's": (
            {CLOCK % replica: always(seconds)},
            {"SubletClockSkewed": Case({}, WEST, "1m 30s")},
        )
        for replica in ("a", "b")
        for seconds in (-90, 90)
    },
}
"""what replicas see differently -> series that are otherwise than in health, and the alerts that fire"""
UNWRITTEN: dict[str, tuple[Series, dict[str, Case]]] = {
    "the ledger is read and takes nothing": (
        {TAKES_NOTHING: always(1)},
        {"SubletLedgerNotReadable": Case({}, {"instance": "a"})},
    )
}
"""what else an alert fires for, as above"""


def test_alerts_fire_for_their_own_trouble_and_for_no_other(tmp_path: Path):
    tests = [promtool_test("health", HEALTH, {})]
    tests += [
        promtool_test(name, {**HEALTH, **case.series}, {name: case})
        for name, case in TROUBLES.items()
    ]
    tests += [
        promtool_test(name, {**HEALTH, **series}, firing)
        for name, (series, firing) in (DISAGREEING | UNWRITTEN).items()
    ]
    path = tmp_path / "alerts_test.yaml"
    files = [str(RULES / "recording.yaml"), str(RULES / "alerts.yaml")]
    path.write_text(
        yaml.safe_dump({"rule_files": files, "evaluation_interval": f"{STEP}m", "tests": tests})
    )

    assert "SUCCESS" in promtool("test", "rules", path)


def test_every_alert_has_a_trouble():
    assert alerts().keys() == TROUBLES.keys()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(name: str):
    rule = alerts()[name]

    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["summary"].endswith(".")
    assert notes["runbook_url"] == f"docs/runbooks.md#{name.lower()}"


def test_every_alert_has_a_runbook_with_what_it_means_what_to_look_at_and_what_to_do():
    sections = re.split(r"^## ", RUNBOOKS.read_text(), flags=re.MULTILINE)[1:]
    bodies = {text.split("\n", 1)[0].strip(): text for text in sections}

    assert bodies.keys() == alerts().keys()
    for name, body in bodies.items():
        assert re.findall(r"^\*\*(.+?)\.\*\*", body, flags=re.MULTILINE) == [
            "Means",
            "Look at",
            "Do",
        ], name
        assert f"`{alerts()[name]['labels']['severity']}`" in body, name
