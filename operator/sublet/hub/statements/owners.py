"""Whose namespaces are by now, as the hub's tenants say: no statement stands in one that another tenant has. Pure.

Tenants are known by name: one that was made anew, or waits to be adopted, is the tenant of its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sublet.api.gputenant import GpuTenant
from sublet.book.demand import tenants_by_namespace
from sublet.hub.state import Shelf
from sublet.hub.unread import namespaces_of_unread


@dataclass(frozen=True, slots=True)
class Owners:
    """Who has which namespace."""

    by_namespace: Mapping[str, str] = field(default_factory=dict)
    """namespace -> name of the tenant that has it"""
    of_others: str | None = None
    """Name of the tenant that has all other namespaces; None: nobody has."""

    def is_anothers(self, namespace: str, tenant: str) -> bool:
        """Say whether a namespace is another tenant's than this; what is nobody's isn't."""
        return self.by_namespace.get(namespace, self.of_others) not in (None, tenant)


def owners_of(tenants: Shelf[GpuTenant], default_tenant: str | None) -> Owners:
    """Return who has which namespace, by the rules that claims are served by; a tenant that can't be read keeps those that it names."""
    known = tenants_by_namespace((*tenants.all(), *tenants.awaited()))
    names = {namespace: tenant.metadata.name for namespace, tenant in known.items()}
    return Owners({**names, **namespaces_of_unread(tenants.unread())}, default_tenant)
