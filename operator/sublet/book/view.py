"""The input of one planning pass: a snapshot of hub and fleet.

Made by `sublet.hub` from its state, never changed by the book. Lists are in any order; the book sorts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.book.account import Account
from sublet.book.inventory import LeaseInventory
from sublet.book.unread import UnreadHolder


@dataclass(frozen=True, slots=True)
class View:
    """All that a pass may know."""

    now_ms: Millis
    claims: tuple[GpuClaim, ...] = ()
    leases: tuple[GpuLease, ...] = ()
    classes: tuple[GpuClass, ...] = ()
    tenants: tuple[GpuTenant, ...] = ()
    priorities: Mapping[str, int] = field(default_factory=dict)
    """PriorityClass name -> value"""
    inventories: Mapping[LeaseUID, LeaseInventory] = field(default_factory=dict)
    """lease UID -> its nodes"""
    approved: Mapping[ClaimUID, int] = field(default_factory=dict)
    """claim -> GPUs that a person approved for it, of the class it asks for"""
    busy: frozenset[ClaimUID] = frozenset()
    """Claims that work is under way for: their end can't be moved just now."""
    accounts: Mapping[TenantUID, Account] = field(default_factory=dict)
    """tenant -> what it spent; a tenant that isn't here spent nobody knows how much"""
    usage: Mapping[TenantUID, Mapping[LeaseUID, int]] = field(default_factory=dict)
    """tenant -> lease -> decayed average of the GPUs that it held in the past, in thousandths of a GPU"""
    default_tenant: str | None = None
    """Tenant of namespaces that no tenant names (single-team installs)."""
    unread_tenants: Mapping[str, str] = field(default_factory=dict)
    """namespace -> name of a tenant that names it and can't be read: nobody else pays for it"""
    unread: tuple[UnreadHolder, ...] = ()
    """Claims that can't be read, whose leases take nothing new, or wait to be adopted: what they hold counts for their tenants."""
