"""How what is allowed must be written: a misspelt word would be taken, and match nothing that leases and pods name."""

from collections.abc import Callable
from functools import partial
from typing import Final

from pydantic import ValidationError

from sublet.api.lease_terms import TenantAccess
from sublet.cli.connect import can_be_name


def _can_be_sold(access: dict[str, object]) -> bool:
    """Say whether a lease may have this tenantAccess; no other word is ever asked for."""
    try:
        TenantAccess.model_validate(access)
    except ValidationError:
        return False
    return True


def _is_resource(text: str) -> bool:
    return _can_be_sold({"extraResources": [text]})


def _is_capability(text: str) -> bool:
    return not text.startswith("CAP_") and _can_be_sold({"capabilities": [text]})


def _is_kind(text: str) -> bool:
    group, _, plural = text.partition("/")
    return _can_be_sold({"roleRules": [{"apiGroup": group, "resources": [plural]}]})


def _is_network(text: str) -> bool:
    namespace, _, name = text.partition("/")
    return can_be_name(namespace, label=True) and can_be_name(name)


SPELT: Final[dict[str, tuple[str, Callable[[str], bool], str]]] = {
    "system_namespaces": ("--system-namespace", partial(can_be_name, label=True), "monitoring"),
    "extra_resources": ("--extra-resource", _is_resource, "rdma/hca"),
    "capabilities": ("--capability", _is_capability, "IPC_LOCK"),
    "role_resources": ("--role-resource", _is_kind, "kubeflow.org/pytorchjobs"),
    "priority_classes": ("--priority-class", can_be_name, "high-priority"),
    "pod_networks": ("--pod-network", _is_network, "fabric/rdma"),
}
"""Field -> its option, what says whether a text may be one, and an example."""
