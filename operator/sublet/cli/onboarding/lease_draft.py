"""A GpuLease to edit: what the cluster shows is filled in, what the contract says is left to the person."""

from collections import Counter
from datetime import UTC, datetime

import yaml

from sublet.api.common import API_VERSION
from sublet.fleet.nodebook import GPU
from sublet.kube.wire import Node


def draft(name: str, nodes: list[Node], now: datetime) -> str:
    """Return a GpuLease as YAML; prices, landlord and term are examples that must be edited."""
    product, gpus = _main_product(nodes)
    today = datetime(now.year, now.month, now.day, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    region, zone = (
        _label(nodes, "topology.kubernetes.io/region"),
        _label(nodes, "topology.kubernetes.io/zone"),
    )
    lease = {
        "apiVersion": API_VERSION,
        "kind": "GpuLease",
        "metadata": {"name": name},
        "spec": {
            "provider": "EDIT-landlord",
            "tenantAlias": name,
            "contract": {"id": "EDIT-contract"},
            "clusterRef": {"kubeconfigSecretRef": {"name": name}},
            "product": product,
            "location": {
                "jurisdiction": "EU",
                "country": "ES",
                "region": region or "EDIT-region",
                **({"zone": zone} if zone else {}),
            },
            "term": {"startTime": today},
            "commitment": {"phases": [{"commitmentId": "all", "startTime": today, "gpus": gpus}]},
            "prices": [{"effectiveTime": today, "perGpuHour": "2.35"}],
            "currency": "USD",
        },
    }
    return yaml.safe_dump(lease, sort_keys=False)


def _main_product(nodes: list[Node]) -> tuple[str, int]:
    counts: Counter[str] = Counter()
    for node in nodes:
        product = node.metadata.labels.get("nvidia.com/gpu.product", "")
        counts[product] += int(node.status.allocatable.get(GPU, "0"))
    return counts.most_common(1)[0] if counts else ("EDIT-product", 0)


def _label(nodes: list[Node], key: str) -> str:
    values = {n.metadata.labels.get(key, "") for n in nodes}
    return values.pop() if len(values) == 1 else ""
