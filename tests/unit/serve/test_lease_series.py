"""What a scrape says of leases out of their own objects."""

from typing import Any

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
