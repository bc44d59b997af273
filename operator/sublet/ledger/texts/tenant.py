"""What a tenant says of money: its account, its periods, its discounts.

Written by the meter when a tenant's spec changes, read by rating and statements: the newest line holds.
"""

from typing import ClassVar

from pydantic import Field

from sublet.api.billing import Discount, TenantBilling
from sublet.api.gputenant import GpuTenant
from sublet.ledger.texts.base import Text


class TenantTerms(Text):
    """One paying customer as the bill needs it."""

    KIND: ClassVar[str] = "tenant"
    kind: str = "tenant"
    name: str
    namespaces: tuple[str, ...]
    billing_account_id: str
    billing: TenantBilling = Field(default_factory=TenantBilling)
    discounts: tuple[Discount, ...] = ()

    @classmethod
    def of(cls, tenant: GpuTenant) -> "TenantTerms":
        """Return the terms of a tenant as they are now; discounts in the order of time."""
        spec = tenant.spec
        return cls(
            name=tenant.metadata.name,
            namespaces=tuple(sorted(spec.namespaces)),
            billing_account_id=spec.billing_account_id,
            billing=spec.billing,
            discounts=tuple(
                sorted(spec.discounts, key=lambda d: (d.effective_time, d.class_name or ""))
            ),
        )
