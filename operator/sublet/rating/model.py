"""What rating gives: charges to tenants and cells of leases. Quantities are integer GPU-milliseconds, money is exact.

Money is a Fraction until a statement's line is rounded, once: no sum depends on the order of its parts.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis


class Category(StrEnum):
    """What a charge is for."""

    USE = "Use"
    """GPUs that were handed over."""
    CANCELLED = "Cancelled"
    """A window that was given up too late."""
    ROUNDING = "Rounding"
    """Time beyond that used, up to the class's unit."""
    MINIMUM = "Minimum"
    """Time or money beyond that used, up to the class's minimum."""
    CREDIT = "Credit"
    """Lost GPU time, given back; below 0."""
    ADJUSTMENT = "Adjustment"
    """An amount that a person charged or credited."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One thing that a tenant pays for, at one price, within one cell of the grid that was asked for."""

    tenant_uid: TenantUID
    namespace: str
    claim_uid: ClaimUID
    """Empty for an adjustment."""
    claim_name: str
    sequence: int
    class_name: str
    lease_uid: LeaseUID
    lease_alias: str
    product: str
    tags_hash: str
    category: Category
    from_ms: Millis
    to_ms: Millis
    gpu_milliseconds: int
    """Exact; 0 of what is money alone."""
    list_price: Decimal | None
    """Per GPU-hour, before discounts; None of what is money alone."""
    price: Fraction | None
    """Per GPU-hour, as charged."""
    currency: str
    list_amount: Fraction
    amount: Fraction
    """What is owed, exact; credits are below 0."""
    first_seq: int
    last_seq: int
    """The ledger's lines that it is made of lie between these."""
    corrects: str = ""
    """The closed billing period (year-month) that it restates; empty for the period's own."""


class LeaseState(StrEnum):
    """What became of a lease's GPUs. The first three add up to the commitment, in every cell."""

    USED = "used"
    UNUSED = "unused"
    UNAVAILABLE = "unavailable"
    """Committed, and not there to be used."""
    BEYOND = "beyond_commitment"
    """Used beyond what is committed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """GPUs of one lease in one state, at one price, within one phase of the commitment and one cell of the grid."""

    lease_uid: LeaseUID
    commitment_id: str
    state: LeaseState
    from_ms: Millis
    to_ms: Millis
    gpu_milliseconds: int
    price: Decimal
    """Per GPU-hour, as the contract says for this state; 0 of what costs nothing."""
    currency: str
    amount: Fraction
    """What the landlord is owed for it, exact."""
