"""How what is allowed must be written: a misspelt word would be taken, and match nothing that leases and pods name."""

import re
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError

from sublet.api.lease_terms import TenantAccess
from sublet.api.names import DNS_LABEL, DNS_NAME


def _is_label(text: str) -> bool:
    return len(text) <= 63 and re.fullmatch(DNS_LABEL, text) is not None  # noqa: PLR2004  a DNS label's length


def _is_name(text: str) -> bool:
    return re.fullmatch(DNS_NAME, text) is not None


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


SPELT: Final[dict[str, tuple[str, Callable[[str], bool], str]]] = {
    "system_namespaces": ("--system-namespace", _is_label, "monitoring"),
    "extra_resources": ("--extra-resource", _is_resource, "rdma/hca"),
    "capabilities": ("--capability", _is_capability, "IPC_LOCK"),
    "role_resources": ("--role-resource", _is_kind, "kubeflow.org/pytorchjobs"),
    "priority_classes": ("--priority-class", _is_name, "high-priority"),
}
"""Field -> its option, what says whether a text may be one, and an example."""
