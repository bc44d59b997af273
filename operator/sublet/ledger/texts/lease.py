"""What a lease says of money: who is paid, for how many GPUs, when, and at which price.

Written by the meter when a lease's spec changes, read by rating: each line holds from when it was said (`sublet.rating.contract`).
"""

from typing import ClassVar

from pydantic import Field

from sublet.api.billing import LeaseBilling, LeaseSla
from sublet.api.gpulease import GpuLease
from sublet.api.lease_terms import BuyPrice, Commitment, Contract, Location, Maintenance, Term
from sublet.ledger.texts.base import Text


class LeaseTerms(Text):
    """One wholesale contract as the bill needs it."""

    KIND: ClassVar[str] = "lease"
    kind: str = "lease"
    name: str
    alias: str
    """What tenants see instead of the landlord's name."""
    provider: str
    host_provider: str | None = None
    contract: Contract
    product: str
    currency: str
    location: Location
    term: Term
    commitment: Commitment
    prices: tuple[BuyPrice, ...]
    maintenance: tuple[Maintenance, ...] = ()
    billing: LeaseBilling = Field(default_factory=LeaseBilling)
    sla: LeaseSla | None = None

    @classmethod
    def of(cls, lease: GpuLease) -> "LeaseTerms":
        """Return the terms of a lease as they are now; lists in the order of time."""
        spec = lease.spec
        phases = tuple(sorted(spec.commitment.phases, key=lambda p: p.start_time))
        options = tuple(sorted(spec.commitment.options, key=lambda o: o.start_time))
        ordered = {"phases": phases, "options": options}
        return cls(
            name=lease.metadata.name,
            alias=spec.tenant_alias,
            provider=spec.provider,
            host_provider=spec.host_provider,
            contract=spec.contract,
            product=spec.product,
            currency=spec.currency,
            location=spec.location,
            term=spec.term,
            commitment=spec.commitment.model_copy(update=ordered),
            prices=tuple(sorted(spec.prices, key=lambda p: p.effective_time)),
            maintenance=tuple(sorted(spec.maintenance, key=lambda m: m.start_time)),
            billing=spec.billing,
            sla=spec.sla,
        )
