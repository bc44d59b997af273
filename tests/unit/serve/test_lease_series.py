"""What a scrape says of leases out of their own objects."""

from typing import Any

import pytest

from sublet.serve.leases import lease_gauges
from tests.builders.api import CREATED, as_lease, lease
from tests.builders.ledgered import Memory


def test_each_condition_of_a_lease_is_there_with_its_status_alone():
    said = [
        {"type": type_, "status": status, "reason": "Why", "lastTransitionTime": CREATED}
        for type_, status in (("IsolationReady", "False"), ("Reachable", "Unknown"))
    ]
    memory: Any = Memory(leases=[as_lease({**lease("west"), "status": {"conditions": said}})])

    found = {
        tuple(sample.labels.values()): sample.value
        for family in lease_gauges(memory)
        if family.name == "sublet_lease_status_condition"
        for sample in family.samples
    }

    assert found == {
        ("west", "IsolationReady", "False"): 1,
        ("west", "Reachable", "Unknown"): 1,
    }


@pytest.mark.parametrize(
    ("reason", "value"), [("OlderOnboarding", 1), ("PoliciesVerified", 0), (None, 0)]
)
def test_a_lease_whose_policies_an_older_onboard_wrote_says_so(reason: str | None, value: int):
    said = [
        {
            "type": "IsolationReady",
            "status": "True",
            "reason": reason,
            "lastTransitionTime": CREATED,
        }
    ]
    status = {"conditions": said if reason else []}
    memory: Any = Memory(leases=[as_lease({**lease("west"), "status": status})])

    (outdated,) = (f for f in lease_gauges(memory) if f.name == "sublet_lease_onboarding_outdated")

    assert [(s.labels["lease"], s.value) for s in outdated.samples] == [("west", value)]
