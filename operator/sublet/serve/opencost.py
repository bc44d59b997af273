"""What OpenCost and its users read of nodes with GPUs: how many, and what one costs us for an hour.

On request only. OpenCost knows no currency: the amount is in the lease's own. The landlord's price, whoever uses the GPU; it is
advice for dashboards and never a bill.
"""

from collections.abc import Iterator

from prometheus_client.core import Metric

from sublet.api.dated import holding
from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.serve.families import Row, gauge
from sublet.serve.ports import Observed

_LABELS = ["cluster", "instance", "node", "provider_id"]


def opencost_families(observed: Observed, now_ms: Millis) -> Iterator[Metric]:
    """Yield both series of each node of a lease."""
    counts: list[Row] = []
    costs: list[Row] = []
    for lease in observed.leases():
        price = _price(lease, now_ms)
        for name, node in observed.nodes(LeaseUID(lease.metadata.uid)).items():
            labels = (lease.metadata.name, name, name, "")
            counts.append((labels, float(node.gpus)))
            if price is not None:
                costs.append((labels, price))
    yield gauge("node_gpu_count", "GPUs of a node.", _LABELS, counts)
    text = "What one GPU of a node costs us for an hour, in the lease's currency."
    yield gauge("node_gpu_hourly_cost", text, _LABELS, costs)


def _price(lease: GpuLease, now_ms: Millis) -> float | None:
    price = holding(lease.spec.prices, now_ms)
    return float(price.per_gpu_hour) if price is not None else None
