"""A GpuLease to edit: what the cluster shows is filled in, what only the contract says is left to the person.

The words to edit begin with EDIT- and end with an example. The hub refuses the draft as it is, so that no lease is
ever sold at a made-up price, nor begun by a guess that can't be taken back.
"""

from collections import Counter
from datetime import datetime

import yaml

from sublet.api.names import API_VERSION
from sublet.api.wording import how_many
from sublet.cli.lines import one_line
from sublet.cli.onboarding.nodes import PRODUCT, gpus_of, is_whole
from sublet.cli.onboarding.place import Place
from sublet.kube.wire import Node


class _Number(str):
    """A number to edit: what stays of it mustn't be quoted."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes what is to be edited with quotes, so that a country NO or a contract 4711 is a text, too."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Return the node of a text."""
        is_quoted = data.startswith("EDIT-") and not isinstance(data, _Number)
        style = '"' if is_quoted else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)
_Dumper.add_representer(_Number, _Dumper.represent_str)


def draft(place: Place, nodes: list[Node], now: datetime) -> str:
    """Return a GpuLease as YAML, for the product that the cluster has most of."""
    name = place.name
    whole = [node for node in nodes if is_whole(node)]
    counts: Counter[str] = Counter()
    for node in whole:
        counts[node.metadata.labels[PRODUCT]] += gpus_of(node)
    product, gpus = counts.most_common(1)[0] if counts else ("EDIT-NVIDIA-H100-80GB-HBM3", 0)
    mine = [node for node in whole if node.metadata.labels[PRODUCT] == product]
    alias, number = f"EDIT-{name}", _Number(f"EDIT-{gpus}")
    start, end = f"EDIT-{now:%Y-%m-%d}T00:00:00Z", f"EDIT-{now.year + 3}-01-01T00:00:00Z"
    zone = _label(mine, "topology.kubernetes.io/zone")
    lease = {
        "apiVersion": API_VERSION,
        "kind": "GpuLease",
        "metadata": {"name": name},
        "spec": {
            "provider": "EDIT-landlord",
            "tenantAlias": alias,
            "contract": {"id": "EDIT-contract-number"},
            "clusterRef": {"inCluster": {}}
            if place.in_cluster
            else {"kubeconfigSecretRef": {"name": name}},
            "product": product,
            "location": {
                "jurisdiction": "EDIT-EU",
                "country": "EDIT-ES",
                "region": _label(mine, "topology.kubernetes.io/region") or "EDIT-region",
                **({"zone": zone} if zone else {}),
            },
            "term": {"startTime": start, "endTime": end},
            "commitment": {"phases": [{"commitmentId": "all", "startTime": start, "gpus": number}]},
            "prices": [{"effectiveTime": start, "perGpuHour": "EDIT-2.35"}],
            "currency": "EDIT-USD",
        },
    }
    others = "".join(
        f"# a lease of its own is needed for {how_many(count, 'GPU')} of {one_line(other)}\n"
        for other, count in sorted(counts.items())
        if other != product
    )
    text = yaml.dump(lease, Dumper=_Dumper, sort_keys=False)
    for line, note in (
        (f'tenantAlias: "{alias}"', "tenants see it; it can't change"),
        (f'term:\n    startTime: "{start}"', "it can't change"),
        (f'endTime: "{end}"', "leave it out if the contract has no end"),
        (f"gpus: {number}", "those of the contract, not those that are there"),
    ):
        text = text.replace(line, f"{line}  # {note}", 1)
    return text + others


def _label(nodes: list[Node], key: str) -> str:
    """Return the value that all nodes share, empty if they don't."""
    values = {n.metadata.labels.get(key, "") for n in nodes}
    return values.pop() if len(values) == 1 else ""
