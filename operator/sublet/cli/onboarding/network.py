"""Whether a leased cluster enforces NetworkPolicies, as far as that can be seen.

Claims' namespaces have them, and an API server takes them whether or not anything acts on them: that is up to the
cluster's network plugin. Proving it takes running pods, which onboarding doesn't run, so the plugin is looked for by
its DaemonSet, and what can't be seen is said as unknown.
"""

from collections.abc import Collection
from typing import Final

from sublet.cli.onboarding.findings import Finding, ok, unknown, warning

_ENFORCING: Final = frozenset(
    {
        "anetd",
        "antrea-agent",
        "azure-npm",
        "calico-node",
        "canal",
        "cilium",
        "kube-network-policies",
        "kube-ovn-cni",
        "kube-router",
        "ovnkube-node",
    }
)
"""DaemonSets of plugins that enforce NetworkPolicies unless they are told not to."""
_BARE: Final = frozenset({"kube-flannel", "kube-flannel-ds"})
"""DaemonSets of plugins that enforce none by themselves."""


def network_finding(daemon_sets: Collection[str]) -> Finding:
    """Say whether NetworkPolicies are enforced, by the DaemonSets of a cluster (namespace/name)."""
    acting = sorted(x for x in daemon_sets if x.split("/")[-1] in _ENFORCING)
    if acting:
        return ok(f"{acting[0]} enforces NetworkPolicies, unless that is switched off in it")
    bare = sorted(x for x in daemon_sets if x.split("/")[-1] in _BARE)
    if bare:
        return warning(
            f"{bare[0]} enforces no NetworkPolicies, so pods of different claims reach each other: ask the landlord "
            "for a network plugin that does"
        )
    return unknown(
        "whether NetworkPolicies are enforced: no network plugin known to do so was seen; ask the landlord, as nothing "
        "else keeps claims apart on the network"
    )
