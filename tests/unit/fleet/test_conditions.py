"""A lease's status: its outlook is written when something changes and never by time alone."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from sublet.api.common import Status, find_condition, is_true
from sublet.api.gpulease import GpuLease, LeaseStatus
from sublet.api.ids import ClusterUID
from sublet.api.times import format_instant
from sublet.book.holdings import Term
from sublet.book.inventory import Reach
from sublet.fleet.conditions import Held, lease_status
from sublet.fleet.facts import NOT_LOOKED, LeaseFacts, Orphans
from tests.builders.api import NOW, as_lease, lease
from tests.builders.crds import twins_in
from tests.builders.fleet import inventory, nodes
from tests.builders.sales import hour

WEST = as_lease(
    lease(
        committed=16,
        commitment={
            "phases": [
                {"commitmentId": "a", "startTime": format_instant(hour(-9)), "gpus": 16},
                {"commitmentId": "b", "startTime": format_instant(hour(9)), "gpus": 32},
            ]
        },
    )
)
TERMS = (Term(hour(5), 8),)
FACTS = LeaseFacts(
    reach=Reach.REACHABLE,
    synced=True,
    credentials_checked=True,
    cluster_uid=ClusterUID("c" * 36),
    isolation_ready=True,
)


def status(each: GpuLease, now_ms=NOW, terms=TERMS) -> LeaseStatus:
    held = Held(bound=sum(t.gpus for t in terms), terms=terms)
    return lease_status(each, FACTS, inventory(each, nodes(each, 2)), held, now_ms)


def test_policies_of_an_older_onboarding_are_said_and_stop_no_sale():
    facts = replace(FACTS, isolation_message="run `sublet onboard` again")
    found = lease_status(WEST, facts, inventory(WEST, nodes(WEST, 2)), Held(), NOW).conditions

    isolation = find_condition(found, "IsolationReady")
    assert isolation is not None
    assert (isolation.status, isolation.reason) == (Status.TRUE, "OlderOnboarding")
    assert isolation.message == "run `sublet onboard` again"
    assert is_true(found, "Ready")


def test_what_tenants_may_do_beyond_the_onboarding_is_said_and_nothing_is_sold():
    facts = replace(FACTS, excess="run it again with --capability IPC_LOCK")
    found = lease_status(WEST, facts, inventory(WEST, nodes(WEST, 2)), Held(), NOW).conditions

    for type_ in ("RightsComplete", "Ready"):
        condition = find_condition(found, type_)
        assert condition is not None
        assert (condition.status, condition.reason) == (Status.FALSE, "BeyondOnboarding")
        assert "--capability IPC_LOCK" in condition.message
    assert is_true(found, "IsolationReady"), "what is bound stays apart"


def test_what_tenants_may_do_is_unknown_after_a_change_until_it_was_tried():
    facts = replace(FACTS, excess=None)
    found = lease_status(WEST, facts, inventory(WEST, nodes(WEST, 2)), Held(), NOW).conditions

    rights = find_condition(found, "RightsComplete")
    assert rights is not None
    assert (rights.status, rights.reason) == (Status.UNKNOWN, "NotTried")


def test_a_claim_that_cant_be_read_closes_its_lease_and_is_named():
    unread = Held(unread=("acme/dark",))
    found = lease_status(WEST, FACTS, inventory(WEST, nodes(WEST, 2)), unread, NOW)

    ready = find_condition(found.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == (Status.TRUE, "NotAccepting")
    assert "acme/dark" in ready.message
    assert found.inventory is not None
    assert found.inventory.free == 0


def stored(each: GpuLease, written: LeaseStatus) -> GpuLease:
    """Return the lease as the hub shows it once the status was written."""
    wire = written.model_dump(mode="json", by_alias=True, exclude_none=True)
    return each.model_copy(update={"status": LeaseStatus.model_validate(wire)})


def test_the_outlook_has_what_is_to_come():
    found = status(WEST).outlook

    assert [(s.time, s.committed, s.undelivered, s.reserved, s.free) for s in found] == [
        (hour(5), 16, 0, 0, 16),
        (hour(9), 32, 16, 0, 32),
    ]


def test_an_unchanged_lease_is_not_written_again_whatever_the_time():
    written = stored(WEST, status(WEST))

    for hours in (0, 0.1, 4.999):
        assert status(written, hour(hours)) == written.status


def test_a_step_that_is_reached_goes():
    written = stored(WEST, status(WEST))

    found = status(written, hour(5), terms=())
    assert [s.time for s in found.outlook] == [hour(9)]


def test_what_nodes_give_away_and_the_hub_does_not_know_stays_held():
    strange = inventory(WEST, nodes(WEST, 2, held_by="a stranger"))

    found = lease_status(WEST, FACTS, strange, Held(bound=8, terms=TERMS), NOW).outlook
    assert [(s.reserved, s.free) for s in found] == [(8, 8), (8, 24)]


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (None, ("Unknown", "the cluster hasn't said what time it is")),
        (0, ("True", "its clock and ours differ by 5 seconds at most")),
        (63, ("False", "its clock is 63 seconds ahead of ours")),
        (-63, ("False", "its clock is 63 seconds behind ours")),
    ],
)
def test_a_clock_that_is_far_from_ours_is_said_and_stops_no_sale(
    ahead: int | None, said: tuple[str, str]
):
    facts = replace(FACTS, clock_ahead_seconds=ahead)
    found = lease_status(WEST, facts, inventory(WEST, []), Held(), NOW).conditions
    clock = next(c for c in found if c.type == "ClockSynced")

    assert clock.status.value == said[0]
    assert clock.message.startswith(said[1])
    assert next(c for c in found if c.type == "Ready").status.value == "True"


def test_what_is_nobodys_is_unknown_until_it_was_looked_at():
    def orphaned(**fields: str) -> tuple[str, str]:
        facts = replace(FACTS, orphans=Orphans(**fields))
        found = lease_status(WEST, facts, inventory(WEST, []), Held(), NOW).conditions
        said = next(c for c in found if c.type == "Orphaned")
        return said.status.value, said.reason

    assert orphaned() == ("Unknown", "NotLooked")
    assert orphaned(reason=NOT_LOOKED, message="a right is missing") == ("Unknown", "NotLooked")
    assert orphaned(message="nothing is there") == ("False", "NothingFound")
    assert orphaned(reason="HubRewound", message="8 GPUs") == ("True", "HubRewound")


def test_a_denied_network_that_cant_be_read_is_said_and_what_comes_of_it():
    access = {"deniedCIDRs": ["198.51.100.0/24", "203.0.113/24"]}

    ready = find_condition(status(as_lease(lease(tenantAccess=access))).conditions, "Ready")

    assert (ready.status, ready.reason) == (Status.FALSE, "NetworkUnread")
    assert "'203.0.113/24'" in ready.message
    assert "reach nothing outside" in ready.message


SPELT = ["2027-01-01T00:00:00Z", "2027-01-01T01:00:00+01:00", "2027-01-01T00:00:00.0004Z", "2027-06-01T00:00:00Z"]  # fmt: skip
entries = st.lists(st.sampled_from(SPELT), max_size=4)


@given(entries, entries, entries)
def test_a_status_can_be_written_however_often_the_spec_has_one_instant(phases, options, windows):
    each = as_lease(
        lease(
            commitment={
                "phases": [
                    {"commitmentId": f"{n}", "startTime": at, "gpus": 8 + n}
                    for n, at in enumerate(["2026-01-01T00:00:00Z", *phases])
                ],
                "options": [
                    {"exerciseByTime": at, "startTime": at, "gpus": 8 + n, "exercised": True}
                    for n, at in enumerate(options)
                ],
            },
            maintenance=[{"startTime": at, "endTime": "2027-07-01T00:00:00Z"} for at in windows],
        )
    )

    written = status(each).model_dump(mode="json", by_alias=True, exclude_none=True)

    assert twins_in("GpuLease", written) == []
