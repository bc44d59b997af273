"""What a lease's cluster is reached with: a landlord's kubeconfig, or the hub's own way under a narrow identity.

Made by the hub's loop from Secrets and settings; used by the registry, which alone decides whether it is accepted.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from sublet.kube.session import Endpoint

CREDENTIALS_LABEL: Final = "sublet.dev/cluster-credentials"
"""On Secrets of the operator's own namespace that hold a leased cluster's kubeconfig."""

HUB_ACCOUNT: Final = "sublet-leased"
"""The ServiceAccount by which the hub's own nodes are leased."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One lease's credential, or why there is none."""

    kubeconfig: bytes | None = field(default=None, repr=False)
    """Hostile until parsed."""
    endpoint: Endpoint | None = field(default=None, repr=False)
    """The hub itself, for a lease of its nodes; its token renews itself."""
    tenant_server: str = ""
    """The server's URL as tenants reach it, where that is another than the operator's."""
    version: str = ""
    """resourceVersion of the Secret that it is from; another version of the same bytes is no other credential."""
    missing: str = ""
    """What to do, if there is neither."""

    @property
    def is_hub(self) -> bool:
        """Say whether it leads to the hub on purpose."""
        return self.endpoint is not None

    @property
    def digest(self) -> str:
        """Return what tells it from another: if it changes, the connection is made anew."""
        if self.endpoint is not None:
            return f"hub {self.endpoint.server}"
        return hashlib.sha256(self.kubeconfig or self.missing.encode()).hexdigest()
