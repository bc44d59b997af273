"""The kinds, listed once: what the CRD generator, the feeders and the command line go by. Their models: `sublet.api.models`."""

from dataclasses import dataclass
from typing import Final

from sublet.api.names import API_VERSION

RELEASE_FINALIZER: Final = "sublet.dev/release"
"""On claims: nothing is forgotten before it is released and metered."""
IN_USE_FINALIZER: Final = "sublet.dev/in-use"
"""On leases, classes and tenants with live claims."""


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column of `kubectl get`; `wide` ones show with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of the API."""

    name: str
    plural: str
    short_names: tuple[str, ...]
    namespaced: bool
    columns: tuple[Column, ...]

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of the collection or of one object."""
        parts = ["/apis", API_VERSION]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [p for p in (self.plural, name, subresource) if p]
        return "/".join(parts)


def _condition(type_: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{type_}")].{field}'


_AGE = Column("Age", ".metadata.creationTimestamp", "date")

LEASES: Final = Kind(
    "GpuLease",
    "gpuleases",
    ("glease",),
    namespaced=False,
    columns=(
        Column("Product", ".spec.product"),
        Column("Committed", ".status.inventory.committed", "integer"),
        Column("Bound", ".status.inventory.bound", "integer"),
        Column("Free", ".status.inventory.free", "integer"),
        Column("Ready", _condition("Ready")),
        Column("Reason", _condition("Ready", "reason")),
        Column("Ends", ".spec.term.endTime"),
        Column("Provider", ".spec.provider", wide=True),
        Column("Region", ".spec.location.region", wide=True),
        Column("Healthy", ".status.inventory.healthy", "integer", wide=True),
        Column("Reserved", ".status.inventory.reserved", "integer", wide=True),
        Column("Reachable", _condition("Reachable"), wide=True),
        _AGE,
    ),
)
CLASSES: Final = Kind(
    "GpuClass",
    "gpuclasses",
    ("gclass",),
    namespaced=False,
    columns=(
        Column("Products", ".spec.products"),
        Column("Currency", ".spec.currency"),
        Column("Ready", _condition("Ready")),
        Column("Pricing", ".spec.pricing", wide=True),
        _AGE,
    ),
)
TENANTS: Final = Kind(
    "GpuTenant",
    "gputenants",
    ("gtenant",),
    namespaced=False,
    columns=(
        Column("Account", ".spec.billingAccountId"),
        Column("Ready", _condition("Ready")),
        Column("Namespaces", ".spec.namespaces", wide=True),
        _AGE,
    ),
)
CLAIMS: Final = Kind(
    "GpuClaim",
    "gpuclaims",
    ("gclaim",),
    namespaced=True,
    columns=(
        Column("Class", ".spec.className"),
        Column("GPUs", ".spec.gpus", "integer"),
        Column("Reserved", _condition("Reserved")),
        Column("Bound", _condition("Bound")),
        Column("Reason", _condition("Ready", "reason")),
        Column("Until", ".status.allocation.untilTime", wide=True),
        Column("Price", ".status.allocation.pricePerGpuHour", wide=True),
        Column("Message", _condition("Ready", "message"), wide=True),
        _AGE,
    ),
)
STATEMENTS: Final = Kind(
    "GpuStatement",
    "gpustatements",
    ("gstatement",),
    namespaced=True,
    columns=(
        Column("Month", ".spec.month"),
        Column("Total", ".status.total"),
        Column("Currency", ".spec.currency"),
        Column("Closed", _condition("Closed")),
        Column("Until", ".status.asOfTime"),
        Column("Tenant", ".spec.tenant", wide=True),
        Column("Ready", _condition("Ready"), wide=True),
        _AGE,
    ),
)
KINDS: Final = (LEASES, CLASSES, TENANTS, CLAIMS)
"""What people write, or ask for: followed, backed up, restored."""
ALL_KINDS: Final = (*KINDS, STATEMENTS)
"""With what the operator makes of the ledger, and makes again whenever it is gone."""
