"""Leased clusters: safe kubeconfigs, connections, node inventory, health, and what is known of each lease.

One connection per lease, with its own session, limits and tasks: a cluster that is down, slow or lying never
disturbs another. A cluster that can't be reached keeps its last inventory.
"""
