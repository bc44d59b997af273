"""What is done to Sublet while a fault happens: each workload prepares, acts until its end is reached, and cleans up.

Only what happens in `act` is under the fault. Every workload is the same whatever the fault, so its end must be, too.
"""

from tests.faults.workloads.base import Workload
from tests.faults.workloads.binding import BINDING
from tests.faults.workloads.leases import LEASE
from tests.faults.workloads.nodes import NODES
from tests.faults.workloads.operators import OPERATORS
from tests.faults.workloads.pairs import PAIRS
from tests.faults.workloads.releasing import RELEASING
from tests.faults.workloads.words import WORDS

ALL: dict[str, Workload] = {
    w.name: w for w in (*OPERATORS, *NODES, *WORDS, *LEASE, *RELEASING, *BINDING, *PAIRS)
}
"""Those that take longest first: workers take one after the other, and end together."""

__all__ = ["ALL", "Workload"]
