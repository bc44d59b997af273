"""Identities as their own types, so that a name can't pass for a UID.

UIDs, not names, are keys everywhere: a re-created namesake is a new object.
"""

from typing import NewType

ClaimUID = NewType("ClaimUID", str)
LeaseUID = NewType("LeaseUID", str)
TenantUID = NewType("TenantUID", str)
ClassUID = NewType("ClassUID", str)
NodeUID = NewType("NodeUID", str)
ClusterUID = NewType("ClusterUID", str)
"""The UID of a cluster's kube-system namespace, which stands for the cluster."""

LeaseName = NewType("LeaseName", str)
ClassName = NewType("ClassName", str)
TenantName = NewType("TenantName", str)
NodeName = NewType("NodeName", str)
