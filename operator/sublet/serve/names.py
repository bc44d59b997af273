"""By which names UIDs of the ledger go: those in memory, else those that the ledger has of who is gone, else the UID. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.serve.families import Labels
from sublet.serve.look import Look
from sublet.serve.ports import Observed

N = TypeVar("N")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of leases and tenants, and products of leases."""

    leases: Mapping[LeaseUID, str]
    products: Mapping[LeaseUID, str]
    tenants: Mapping[TenantUID, str]

    def lease(self, uid: LeaseUID) -> str:
        """Return a lease's name."""
        return self.leases.get(uid, uid)

    def product(self, uid: LeaseUID) -> str:
        """Return the GPU product of a lease; empty of one that nobody knows."""
        return self.products.get(uid, "")

    def tenant(self, uid: TenantUID) -> str:
        """Return a tenant's name."""
        return self.tenants.get(uid, uid)


def names_of(observed: Observed, look: Look) -> Names:
    """Return the names of all who are there or were."""
    leases = {uid: terms.name for uid, terms in look.leases.items()}
    products = {uid: terms.product for uid, terms in look.leases.items()}
    tenants = {uid: terms.name for uid, terms in look.tenants.items()}
    for lease in observed.leases():
        uid = LeaseUID(lease.metadata.uid)
        leases[uid], products[uid] = lease.metadata.name, lease.spec.product
    for tenant in observed.tenants():
        tenants[TenantUID(tenant.metadata.uid)] = tenant.metadata.name
    return Names(leases, products, tenants)


def earliest(since: dict[Labels, Millis], labels: Labels, at_ms: Millis | None) -> None:
    """Note when a series began: the first of those who go by its labels."""
    if at_ms is not None:
        since[labels] = min(at_ms, since.get(labels, at_ms))
