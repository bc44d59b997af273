"""What OpenCost reads: nodes' GPUs and the landlord's price that holds now."""

from typing import Any

from sublet.serve.opencost import opencost_families
from tests.builders.api import LONG_AGO, NOW, as_lease, lease
from tests.builders.fleet import nodes
from tests.builders.ledgered import Memory

PRICES = [
    {"effectiveTime": LONG_AGO, "perGpuHour": "2.35"},
    {"effectiveTime": "2099-01-01T00:00:00Z", "perGpuHour": "9.00"},
]
WEST = as_lease(lease("west", prices=PRICES))


class Fleet(Memory):
    """Two nodes."""

    def nodes(self, uid):
        return {n.name: n for n in nodes(WEST, 2)}


def test_each_node_says_its_gpus_and_what_one_costs_us_now():
    seen: Any = Fleet(leases=[WEST])

    count, cost = opencost_families(seen, NOW)

    assert [s.value for s in count.samples] == [8, 8]
    assert [s.value for s in cost.samples] == [2.35, 2.35]
    assert {s.labels["cluster"] for s in cost.samples} == {"west"}
